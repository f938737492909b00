"""Bugs in the C++ of the compiled operators."""

from __future__ import annotations

from ..planting import Bug
from ..properties import CONV2D

WINOGRAD = "kernels/winograd.cpp"
POINTWISE = "kernels/pointwise.cpp"
TILES = "kernels/winograd_tiles.h"
PRODUCTS = "kernels/products_lanes.cpp"
NORM = "kernels/normalize_blocked.cpp"
SUM = {**CONV2D, "dims": (32, 48), "size": (16, 18), "batch": 3}
UPSAMPLE = {"kind": "upsample", "dims": (32, 48), "size": (8, 9), "batch": 3}
BLOCK = {"dims": (32, 16), "size": (16, 10), "batch": 2}

COMPILED = [
    Bug(
        "the compiled filters are not turned for the gradient by the image",
        WINOGRAD,
        "transform_weight(from, stride * 9, by_input, transformed)",
        "transform_weight(from, stride * 9, false, transformed)",
        "exact: large",
        SUM,
    ),
    Bug(
        "the last row of pixels counts as the margin",
        TILES,
        "2 * ty + r <= height",
        "2 * ty + r < height",
        "exact: large",
        SUM,
    ),
    Bug(
        "a tile takes one column of pixels from the tile before it, not two",
        TILES,
        "columns[c][r] = columns[c + 2][r]",
        "columns[c][r] = columns[c + 1][r]",
        "exact: large",
        SUM,
    ),
    Bug(
        "all results of a tiled convolution have the bias of the first sixteen",
        WINOGRAD,
        "bias + block * kBlock",
        "bias",
        "exact: large",
        SUM,
    ),
    Bug(
        "the gradient by the weights is that of each thread's last tiles",
        WINOGRAD,
        "chunk > first,",
        "false,",
        "exact: large",
        SUM,
    ),
    Bug(
        "of a filter's gradient the last column has the wrong sign",
        TILES,
        "g[2] = ends + u3",
        "g[2] = ends - u3",
        "exact: large",
        SUM,
    ),
    Bug(
        "a pixel that is enlarged counts for one of its rows",
        TILES,
        "columns[c][1] = middle + middle",
        "columns[c][1] = middle",
        "exact: large",
        UPSAMPLE,
    ),
    Bug(
        "the gradient by an enlarged pixel lacks one of its rows",
        TILES,
        "m0 + m1 + m1 - m3",
        "m0 + m1 - m3",
        "exact: large",
        UPSAMPLE,
    ),
    Bug(
        "every second bfloat16 of a sum over rows is lost",
        "kernels/lane_products.h",
        "pair = _mm512_or_si512(_mm512_slli_epi32(pair, 16), _mm512_loadu_si512(words));",
        "pair = _mm512_loadu_si512(words);",
        "precision: whole_block",
        BLOCK,
    ),
    Bug(
        "a tile's result lacks one of four products' sums",
        TILES,
        "y[1] = m[1] - m[2] - m[3];",
        "y[1] = m[1] - m[2];",
        "precision: whole_block",
        {**BLOCK, "level": "O0", "dtype": "float32"},
    ),
    Bug(
        "single pixels' weights are not turned for the gradient by the image",
        POINTWISE,
        "floats(1), true, inner, outer,",
        "floats(1), false, inner, outer,",
        "exact: large",
        {**SUM, "kernel": 1},
    ),
    Bug(
        "the gradient by single pixels' bias is that of each thread's last pixels",
        POINTWISE,
        "dbias[i] = (adds ? dbias[i] : 0.0f) +",
        "dbias[i] =",
        "exact: large",
        {**SUM, "kernel": 1},
    ),
    Bug(
        "a shortcut without a convolution leaves out what skips a level",
        "kernels/residual.cpp",
        "copy(b.y, args.floats(kY),",
        "copy({0, 0, 1}, args.floats(kY),",
        "precision: whole_block",
        {"dims": (32, 32), "skip": 16},
    ),
    Bug(
        "what a residual block does not keep is made of another norm's gain backwards",
        "kernels/residual.cpp",
        "a1 = reinterpret_cast<T*>(back);  // used up before back is written\n  b.first<T>",
        "a1 = reinterpret_cast<T*>(back);  // used up before back is written\n  b.second<T>",
        "precision: whole_block",
        {"dims": (32, 32), "skip": 16},
    ),
    Bug(
        "the gradient of a block's SiLU takes its sigmoid for a constant",
        NORM,
        "_mm512_fmadd_ps(z * gate, one - gate, gate)",
        "gate",
        "precision: whole_block",
        {**BLOCK, "level": "O0", "dtype": "float32"},
    ),
    Bug(
        "the gradient of a block's norm goes along its pixels by too much",
        NORM,
        "all_of(inverse[i] * product[i])",
        "all_of(product[i])",
        "precision: whole_block",
        BLOCK,
    ),
    Bug(
        "every second bfloat16 of a small matrix is lost",
        PRODUCTS,
        "return _mm512_or_si512(one, _mm512_slli_epi32(other, 16));",
        "return one;",
        "precision: bfloat16",
    ),
    Bug(
        "a softmax by lanes counts what is beyond the end of its row",
        PRODUCTS,
        "sum = _mm512_mask_add_ps(sum, there, sum, power);",
        "sum = sum + power;",
        "layers: attention",
    ),
    Bug(
        "attention over pixels writes every sixteen channels over the first ones",
        "kernels/attention.cpp",
        "to + (c + l) * channel + i",
        "to + l * channel + i",
        "layers: attention",
        {"dim_head": 32},
    ),
]
"""Where the processor has AVX-512: others convolve by the definition, which oneDNN has."""
