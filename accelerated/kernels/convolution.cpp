// Convolution and its gradients by oneDNN, which chooses the layouts that it computes in.
//
// Images and weights outside are plain (B, C, H, W) and (O, C, k, l). Along each side the kernel moves
// by as many pixels as the image is larger than the result, s, over a margin of (k - s) / 2: by one
// with a margin of k / 2 where both are as large, by its own size without a margin where s = k.

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "library.h"

namespace {

using Shape = std::vector<int64_t>;

void check(int status) {
  if (status != onednn::success)
    throw std::runtime_error("oneDNN returned status " + std::to_string(status));
}

// An object of oneDNN, destroyed with its owner.
class Handle {
 public:
  using Destroy = int (*)(void*);
  explicit Handle(Destroy destroy) : object_(nullptr, destroy) {}
  Handle(void* object, Destroy destroy) : object_(object, destroy) {}
  operator void*() const { return object_.get(); }

 private:
  std::unique_ptr<void, Destroy> object_;
};

// Call a function of oneDNN that makes an object.
template <class Create, class... Args>
Handle make(Handle::Destroy destroy, Create create, const Args&... args) {
  void* object = nullptr;
  check(create(&object, args...));
  return Handle(object, destroy);
}

Handle descriptor(const Shape& shape, bool any) {
  const auto& dnn = library().dnn;
  const int ndims = static_cast<int>(shape.size());
  onednn::dims sizes{}, strides{};
  int64_t stride = 1;
  for (int i = ndims - 1; i >= 0; --i) {
    sizes[i] = shape[i];
    strides[i] = stride;
    stride *= shape[i];
  }
  if (any)
    return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_tag, ndims, sizes,
                onednn::f32, onednn::tag_any);
  return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_strides, ndims, sizes,
              onednn::f32, strides);
}

Handle attributes() {
  const auto& dnn = library().dnn;
  Handle attr = make(dnn.primitive_attr_destroy, dnn.primitive_attr_create);
  check(dnn.primitive_attr_set_scratchpad_mode(attr, onednn::scratchpad_user));
  return attr;
}

struct Primitive {
  explicit Primitive(Handle description)
      : pd(std::move(description)),
        primitive(make(library().dnn.primitive_destroy, library().dnn.primitive_create, pd)) {}
  const void* layout(int arg) const {
    return library().dnn.primitive_desc_query_md(pd, onednn::query_exec_arg_md, arg);
  }
  size_t bytes(int arg) const { return library().dnn.memory_desc_get_size(layout(arg)); }

  Handle pd, primitive;
};

// One primitive's run, its arguments gathered.
class Run {
 public:
  void bind(const Primitive& primitive, int arg, void* data) {
    const auto& dnn = library().dnn;
    memory_.push_back(make(dnn.memory_destroy, dnn.memory_create, primitive.layout(arg),
                           dnn.engine, data));
    args_.push_back({arg, memory_.back()});
  }
  void operator()(const Primitive& primitive, void* stream) const {
    check(library().dnn.primitive_execute(primitive.primitive, stream,
                                          static_cast<int>(args_.size()), args_.data()));
  }

 private:
  std::vector<Handle> memory_;
  std::vector<onednn::exec_arg> args_;
};

// What a primitive reads or writes: plain outside, in the layout of its choice inside.
struct Port {
  int arg;
  Shape shape;
  bool is_output;
};

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// A primitive between plain arrays. It has no state: any number of threads may run it.
class Plan {
 public:
  Plan(Handle pd, const std::vector<Port>& ports, Threads& threads)
      : main_(std::move(pd)), ports_(ports), threads_(threads) {
    for (const Port& port : ports_) {
      reorders_.push_back(reorder(port));
      if (reorders_.back()) inner_bytes_ += aligned(main_.bytes(port.arg));
      pad_bytes_ = std::max(pad_bytes_, reorders_.back() ? pad(*reorders_.back()) : 0);
    }
    pad_bytes_ = std::max(pad_bytes_, pad(main_));
  }

  void operator()(const std::vector<float*>& data) const {
    const auto& dnn = library().dnn;
    Handle stream = make(dnn.stream_destroy, dnn.threadpool_interop_stream_create, dnn.engine,
                         static_cast<void*>(static_cast<onednn::threadpool*>(&threads_)));
    Scratch scratch(inner_bytes_ + pad_bytes_);
    char* const pad = static_cast<char*>(scratch.data());
    char* inner = pad + pad_bytes_;
    Run run;
    std::vector<void*> places;
    for (size_t i = 0; i < ports_.size(); ++i) {
      places.push_back(reorders_[i] ? inner : static_cast<void*>(data[i]));
      run.bind(main_, ports_[i].arg, places[i]);
      if (!reorders_[i]) continue;
      inner += aligned(main_.bytes(ports_[i].arg));
      if (!ports_[i].is_output) move(*reorders_[i], data[i], places[i], pad, stream);
    }
    run.bind(main_, onednn::arg_scratchpad, pad);
    run(main_, stream);
    for (size_t i = 0; i < ports_.size(); ++i)
      if (reorders_[i] && ports_[i].is_output)
        move(*reorders_[i], places[i], data[i], pad, stream);
  }

 private:
  static size_t pad(const Primitive& primitive) {
    return aligned(primitive.bytes(onednn::arg_scratchpad));
  }

  // From plain to the layout inside, or back for an output; none if they are the same.
  std::unique_ptr<Primitive> reorder(const Port& port) const {
    const auto& dnn = library().dnn;
    const Handle plain = descriptor(port.shape, false);
    const void* inside = main_.layout(port.arg);
    if (dnn.memory_desc_equal(plain, inside)) return nullptr;
    const void* outside = plain;
    const void* from = port.is_output ? inside : outside;
    const void* to = port.is_output ? outside : inside;
    return std::make_unique<Primitive>(make(dnn.primitive_desc_destroy,
                                            dnn.reorder_primitive_desc_create, from, dnn.engine,
                                            to, dnn.engine, attributes()));
  }

  static void move(const Primitive& reorder, void* from, void* to, void* pad, void* stream) {
    Run run;
    run.bind(reorder, onednn::arg_src, from);
    run.bind(reorder, onednn::arg_dst, to);
    run.bind(reorder, onednn::arg_scratchpad, pad);
    run(reorder, stream);
  }

  Primitive main_;
  std::vector<Port> ports_;
  Threads& threads_;
  std::vector<std::unique_ptr<Primitive>> reorders_;
  size_t inner_bytes_ = 0, pad_bytes_ = 0;
};

enum Kind { kForward, kInputGradient, kWeightGradient };

// The shapes of one convolution.
struct Problem {
  Kind kind;
  Shape image, weight, result;
  bool operator<(const Problem& other) const { return key() < other.key(); }
  // Multiplications and additions: for every weight, those with a pixel of every result.
  int64_t work() const {
    return 2 * weight[0] * weight[1] * weight[2] * weight[3] * result[0] * result[2] * result[3];
  }

 private:
  std::tuple<int, const Shape&, const Shape&, const Shape&> key() const {
    return {kind, image, weight, result};
  }
};

Handle forward(const Problem& p, const onednn::dims strides, const onednn::dims margin) {
  const auto& dnn = library().dnn;
  const onednn::dims dilates{};
  const Handle bias = descriptor({p.weight[0]}, true);
  return make(dnn.primitive_desc_destroy, dnn.convolution_forward_primitive_desc_create,
              dnn.engine, onednn::forward_training, onednn::convolution_direct,
              descriptor(p.image, true), descriptor(p.weight, true), bias,
              descriptor(p.result, true), strides, dilates, margin, margin, attributes());
}

std::shared_ptr<const Plan> plan(const Problem& p, Threads& threads) {
  using namespace onednn;
  const auto& dnn = library().dnn;
  const dims strides{p.image[2] / p.result[2], p.image[3] / p.result[3]}, dilates{};
  const dims margin{(p.weight[2] - strides[0]) / 2, (p.weight[3] - strides[1]) / 2};
  Handle pd = forward(p, strides, margin);
  if (p.kind == kForward) {
    return std::make_shared<Plan>(std::move(pd),
                                  std::vector<Port>{{arg_src, p.image, false},
                                                    {arg_weights, p.weight, false},
                                                    {arg_bias, {p.weight[0]}, false},
                                                    {arg_dst, p.result, true}},
                                  threads);
  }
  const Handle image = descriptor(p.image, true), weight = descriptor(p.weight, true);
  const Handle result = descriptor(p.result, true);
  if (p.kind == kInputGradient) {
    Handle backward = make(dnn.primitive_desc_destroy,
                           dnn.convolution_backward_data_primitive_desc_create, dnn.engine,
                           convolution_direct, image, weight, result, strides, dilates, margin,
                           margin, pd, attributes());
    return std::make_shared<Plan>(
        std::move(backward), std::vector<Port>{{arg_diff_dst, p.result, false},
                                               {arg_weights, p.weight, false},
                                               {arg_diff_src, p.image, true}},
        threads);
  }
  const Handle bias = descriptor({p.weight[0]}, true);
  Handle backward = make(dnn.primitive_desc_destroy,
                         dnn.convolution_backward_weights_primitive_desc_create, dnn.engine,
                         convolution_direct, image, weight, bias, result, strides, dilates,
                         margin, margin, pd, attributes());
  return std::make_shared<Plan>(std::move(backward),
                                std::vector<Port>{{arg_src, p.image, false},
                                                  {arg_diff_dst, p.result, false},
                                                  {arg_diff_weights, p.weight, true},
                                                  {arg_diff_bias, {p.weight[0]}, true}},
                              threads);
}

// Plans by problem, shared by all threads. A network has a few dozen; when there are more than
// kPlans (images of ever other sizes), all are forgotten and made anew as they are needed.
constexpr size_t kPlans = 512;

std::shared_ptr<const Plan> remembered(const Problem& problem) {
  static std::mutex mutex;
  static std::map<Problem, std::shared_ptr<const Plan>> plans;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = plans.find(problem);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kPlans) plans.clear();
  int before = 0;
  const auto& dnn = library().dnn;
  Threads& threads = library().threads_for(problem.work());
  check(dnn.threadpool_interop_get_max_concurrency(&before));
  check(dnn.threadpool_interop_set_max_concurrency(threads.get_num_threads()));
  auto made = plan(problem, threads);
  check(dnn.threadpool_interop_set_max_concurrency(before));
  return plans[problem] = made;
}

}  // namespace

// x (B, C, H, W), weight (O, C, k, l), bias (O,) -> result (B, O, H', W')
DDPM_OPERATOR(convolution) {
  const auto run = remembered({kForward, args.shape(0), args.shape(1), args.shape(3)});
  (*run)({args.floats(0), args.floats(1), args.floats(2), args.floats(3)});
}

// x (only its shape is read), weight, dL/dresult -> dL/dx
DDPM_OPERATOR(convolution_input_gradient) {
  const auto run = remembered({kInputGradient, args.shape(0), args.shape(1), args.shape(2)});
  (*run)({args.floats(2), args.floats(1), args.floats(3)});
}

// x, weight (only its shape is read), dL/dresult -> dL/dweight, dL/dbias
DDPM_OPERATOR(convolution_weight_gradient) {
  const auto run = remembered({kWeightGradient, args.shape(0), args.shape(1), args.shape(2)});
  (*run)({args.floats(0), args.floats(2), args.floats(3), args.floats(4)});
}
