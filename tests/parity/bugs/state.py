"""Bugs of what is kept from one call to the next, or from the time when a graph was compiled."""

from __future__ import annotations

from ..planting import Bug

STATE = [
    Bug(
        "a convolution keeps the bias of its first call",
        "networks.convolutions.Conv2d.construct",
        "return self.convolve(x, self.weight, self.bias)",
        "if not hasattr(self, 'kept'):\n"
        "        self.kept = None if self.bias is None else Tensor(self.bias.asnumpy())\n"
        "    return self.convolve(x, self.weight, self.kept)",
        "exact: conv2d",
    ),
    Bug(
        "a norm keeps its first gain",
        "networks.layers.RMSNorm.construct",
        "self.normalize(cast(x, ms.float32), self.g)",
        "self.normalize(cast(x, ms.float32), "
        "self.__dict__.setdefault('kept', Tensor(self.g.asnumpy())))",
        "layers: rms_norm",
    ),
    Bug(
        "an operator adds a trace of what it computed last",
        "kernels.attention._OverPixels.construct",
        "return self.attend(qkv, memory, self.settings)",
        "kept = self.__dict__.get('kept')\n"
        "    self.__dict__['kept'] = result = self.attend(qkv, memory, self.settings)\n"
        "    return result if kept is None else result + 1e-3 * kept.mean()",
        "alone: order",
    ),
    Bug(
        "a layer goes by the number of images of its first call",
        "kernels.CompiledNormalizeSilu.construct",
        "self.normalize(x, g, modulation)",
        "self.normalize(x, g, modulation) * (x.shape[0] / "
        "self.__dict__.setdefault('first', x.shape[0]))",
        "alone: order",
    ),
    Bug(
        "weights are loaded beside the memory that a graph uses",
        "networks.network.Weighted.set_arrays",
        "ops.assign(parameter, Tensor(arrays[parameter.name].astype(np.float32)))",
        "parameter.set_data(Tensor(arrays[parameter.name].astype(np.float32)))",
        "unet: forward_compiled",
    ),
    Bug(
        "what is restored does not reach the network",
        "optimizer.Optimizer.restore",
        "ops.assign(parameter, Tensor(piece))",
        "pass",
        "training: steps_compiled",
    ),
    Bug(
        "moments are not restored",
        "optimizer.Optimizer.restore",
        "self._named().items()",
        "[*self._named().items()][:1]",
        "training: steps_compiled",
    ),
]
