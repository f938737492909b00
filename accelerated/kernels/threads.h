// A few threads that wait for work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "onednn.h"

// Runs n instances of a function on up to `count` threads, the caller's being one of them.
//
// Instances may run in any order and one after the other: none may wait for another. A call from
// within an instance, or while another thread's call is running, runs on its own thread alone. In
// a forked child, where the other threads are gone, the caller does all the work itself.
class Threads final : public onednn::threadpool {
 public:
  explicit Threads(int count);
  int get_num_threads() const override { return count_; }
  bool get_in_parallel() const override;
  void parallel_for(int n, const std::function<void(int, int)>& function) override;
  uint64_t get_flags() const override { return 0; }
  void wait() override {}

 private:
  void work();
  void take_turns(std::unique_lock<std::mutex>& lock);

  const int count_;
  std::mutex busy_, mutex_;
  std::condition_variable begin_, end_;
  const std::function<void(int, int)>* function_ = nullptr;
  int n_ = 0, done_ = 0;
  std::atomic<int> next_{0}, limit_{0};
};
