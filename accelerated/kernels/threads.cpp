#include "threads.h"

#include <chrono>
#include <system_error>

namespace {

thread_local bool in_parallel = false;

constexpr int kMost = 0xffff;
constexpr int taken(uint64_t state) { return static_cast<int>(state & kMost); }
constexpr int instances(uint64_t state) { return static_cast<int>(state >> 16 & kMost); }

// How long to look for work before sleeping. The operators of a graph follow each other closely,
// and to wake a thread takes longer than many of them.
constexpr auto kPatience = std::chrono::microseconds(1000);

template <class Condition>
bool spin_until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Keeps this thread off one processor, that of the thread which it works with. MindSpore's own
// threads look for work in a loop, so Linux sees more busy threads than processors, and would often
// leave these two on the same one.
class Elsewhere {
 public:
  Elsewhere() { known_ = sched_getaffinity(0, sizeof allowed_, &allowed_) == 0; }
  void than(int cpu) {
    if (!known_ || cpu < 0 || cpu == avoided_ || sched_getcpu() != cpu) return;
    cpu_set_t others = allowed_;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
    avoided_ = cpu;
  }

 private:
  cpu_set_t allowed_;
  bool known_;
  int avoided_ = -1;
};

}  // namespace

Threads::Threads(int count) : count_(count) {
  try {
    for (int i = 1; i < count; ++i) std::thread(&Threads::work, this).detach();
  } catch (const std::system_error&) {
    // The system allows no more of them. Fewer do the same work, into the same number of parts.
  }
}

bool Threads::get_in_parallel() const { return in_parallel; }

bool Threads::has_work() const {
  const uint64_t state = state_;
  return taken(state) < instances(state);
}

void Threads::parallel_for(int n, const std::function<void(int, int)>& function) {
  std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
  if (n == 1 || n > kMost || count_ == 1 || in_parallel || !busy) {
    for (int i = 0; i < n; ++i) function(i, n);
    return;
  }
  function_ = &function;
  callers_cpu_ = sched_getcpu();
  done_ = 0;
  awaited_ = false;
  state_ = ((state_ >> 32) + 1) << 32 | static_cast<uint64_t>(n) << 16;
  if (asleep_ > 0) {
    // Whoever is about to sleep holds the mutex until it does.
    { std::lock_guard<std::mutex> lock(mutex_); }
    begin_.notify_all();
  }
  while (take_one()) {
  }
  if (spin_until([=] { return is_done(n); })) return;
  std::unique_lock<std::mutex> lock(mutex_);
  awaited_ = true;
  end_.wait(lock, [=] { return is_done(n); });
}

// Run an instance that nobody has taken; whether there was one. Until it is done, the caller of
// parallel_for waits, so `function_` is that of the call whose instance was taken.
bool Threads::take_one() {
  uint64_t state = state_;
  do {
    if (taken(state) >= instances(state)) return false;
  } while (!state_.compare_exchange_weak(state, state + 1));
  in_parallel = true;
  (*function_)(taken(state), instances(state));
  in_parallel = false;
  if (++done_ == instances(state) && awaited_) {
    { std::lock_guard<std::mutex> lock(mutex_); }
    end_.notify_one();
  }
  return true;
}

void Threads::work() {
  Elsewhere elsewhere;
  for (;;) {
    elsewhere.than(callers_cpu_);
    while (take_one()) {
    }
    if (spin_until([this] { return has_work(); })) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    ++asleep_;
    begin_.wait(lock, [this] { return has_work(); });
    --asleep_;
  }
}
