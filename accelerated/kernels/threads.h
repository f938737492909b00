// MindSpore's own threads, on which its operators run too: others beside them would take the cores
// from each other, for a thread of MindSpore's that has nothing to do looks for work in a loop.
#pragma once

#include "onednn.h"

// Runs n instances of a function on MindSpore's threads, the caller's being one of them.
//
// Instances may run in any order and one after the other: none may wait for another. A call from
// within an instance, or where MindSpore has not started its threads, runs on its own thread alone.
class Threads final : public onednn::threadpool {
 public:
  // Finds them in MindSpore's core library, to use `count` at a time.
  Threads(int count, void* core);
  // Whether all that is needed was found.
  bool found() const { return launch_ != nullptr && manager_ != nullptr && kind_ != nullptr; }
  int get_num_threads() const override { return count_; }
  bool get_in_parallel() const override;
  void parallel_for(int n, const std::function<void(int, int)>& function) override;
  uint64_t get_flags() const override { return 0; }
  void wait() override {}

 private:
  using Instance = std::function<int(void*, int, float, float)>;
  using Launch = int (*)(void* pool, const Instance& instance, void* content, int n);
  struct Manager {
    const void* virtual_functions;
    void* pool;
  };

  void* pool() const;

  const int count_;
  const Launch launch_;
  const Manager* const manager_;
  const void* const* const kind_;
};
