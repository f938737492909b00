// A few threads that wait for work.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "onednn.h"

// Runs n instances of a function on up to `count` threads, the caller's being one of them.
//
// Whoever is free takes the next instance, so a thread that the processors are too busy for holds
// up nobody. Instances may run in any order and one after the other: none may wait for another. A
// call from within an instance, or while another thread's call is running, runs on its own thread
// alone. In a forked child, where the other threads are gone, the caller does all the work itself.
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
  bool take_one();
  bool has_work() const;
  bool is_done(int n) const { return done_ == n; }

  const int count_;
  std::mutex busy_, mutex_;
  std::condition_variable begin_, end_;
  std::atomic<const std::function<void(int, int)>*> function_{nullptr};
  // The call's number, how many instances it has, and how many of them were taken: 32, 16, 16 bits.
  std::atomic<uint64_t> state_{0};
  std::atomic<int> done_{0}, asleep_{0}, callers_cpu_{-1};
  std::atomic<bool> awaited_{false};
};
