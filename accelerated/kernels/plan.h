// A primitive of oneDNN between plain float arrays, in the layouts and types of its choice inside.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "library.h"

using Shape = std::vector<int64_t>;

inline void check(int status) {
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

// In the layout that oneDNN chooses.
inline Handle any(const Shape& shape, int type) {
  const auto& dnn = library().dnn;
  onednn::dims sizes{};
  std::copy(shape.begin(), shape.end(), sizes);
  return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_tag,
              static_cast<int>(shape.size()), sizes, type, onednn::tag_any);
}

// Blocks of 16 channels, one after another: (B, C / 16, H, W, 16).
inline Handle blocked(const Shape& shape, int type) {
  const auto& dnn = library().dnn;
  onednn::dims sizes{};
  std::copy(shape.begin(), shape.end(), sizes);
  return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_tag,
              static_cast<int>(shape.size()), sizes, type, onednn::tag_blocks_of_16);
}

inline Handle plain(const Shape& shape) {
  const auto& dnn = library().dnn;
  const int ndims = static_cast<int>(shape.size());
  onednn::dims sizes{}, strides{};
  int64_t stride = 1;
  for (int i = ndims - 1; i >= 0; --i) {
    sizes[i] = shape[i];
    strides[i] = stride;
    stride *= shape[i];
  }
  return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_strides, ndims, sizes,
              onednn::f32, strides);
}

inline Handle attributes() {
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

// What a primitive reads or writes: plain outside, in the layout of its choice inside. Or `as_it_is`
// in both.
struct Port {
  int arg;
  Shape shape;
  bool is_output;
  bool as_it_is = false;
};

inline size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

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

  void operator()(const std::vector<void*>& data) const {
    const auto& dnn = library().dnn;
    Handle stream = make(dnn.stream_destroy, dnn.threadpool_interop_stream_create, dnn.engine,
                         static_cast<void*>(static_cast<onednn::threadpool*>(&threads_)));
    Scratch scratch(inner_bytes_ + pad_bytes_);
    char* const pad = static_cast<char*>(scratch.data());
    char* inner = pad + pad_bytes_;
    Run run;
    std::vector<void*> places;
    for (size_t i = 0; i < ports_.size(); ++i) {
      places.push_back(reorders_[i] ? inner : data[i]);
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
    if (port.as_it_is) return nullptr;
    const auto& dnn = library().dnn;
    const Handle floats = plain(port.shape);
    const void* inside = main_.layout(port.arg);
    if (dnn.memory_desc_equal(floats, inside)) return nullptr;
    const void* outside = floats;
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
