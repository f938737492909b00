#include "threads.h"

#include <chrono>
#include <cstdlib>

namespace {

thread_local bool in_parallel = false;

// How long to look for work before sleeping: the pieces of one operator follow each other closely.
constexpr auto kPatience = std::chrono::microseconds(30);

template <class Condition>
void spin_until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

}  // namespace

Threads::Threads(int count) : count_(count) {
  for (int i = 1; i < count; ++i) std::thread(&Threads::work, this).detach();
}

bool Threads::get_in_parallel() const { return in_parallel; }

void Threads::parallel_for(int n, const std::function<void(int, int)>& function) {
  std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
  if (n == 1 || count_ == 1 || in_parallel || !busy) {
    for (int i = 0; i < n; ++i) function(i, n);
    return;
  }
  std::unique_lock<std::mutex> lock(mutex_);
  function_ = &function;
  n_ = n;
  done_ = 0;
  next_ = 0;
  limit_ = n;
  begin_.notify_all();
  take_turns(lock);
  end_.wait(lock, [this] { return done_ == n_; });
  limit_ = 0;
}

// Run instances until all have begun.
void Threads::take_turns(std::unique_lock<std::mutex>& lock) {
  in_parallel = true;
  while (next_ < limit_) {
    const int i = next_++;
    const auto* function = function_;
    const int n = n_;
    lock.unlock();
    (*function)(i, n);
    lock.lock();
    if (++done_ == n_) end_.notify_one();
  }
  in_parallel = false;
}

void Threads::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    begin_.wait(lock, [this] { return next_ < limit_; });
    take_turns(lock);
    lock.unlock();
    spin_until([this] { return next_ < limit_; });
    lock.lock();
  }
}
