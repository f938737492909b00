// The declarations are those of MindSpore 2.10: mindrt/src/thread/threadpool.h and
// mindrt/src/actor/actormgr.h in its sources. Another version is refused (see __init__.py).
#include "threads.h"

#include <dlfcn.h>

namespace {

thread_local bool in_parallel = false;

// An object points at the functions in its class's virtual table, which two words come before.
constexpr int kBeforeFunctions = 2;

}  // namespace

Threads::Threads(int count, void* core)
    : count_(count),
      launch_(reinterpret_cast<Launch>(
          dlsym(core, "_ZN9mindspore10ThreadPool14ParallelLaunchERKSt8functionIFiPviffEES2_i"))),
      manager_(static_cast<const Manager*>(dlsym(core, "_ZN9mindspore8ActorMgr8actorMgrE"))),
      kind_(static_cast<const void* const*>(dlsym(core, "_ZTVN9mindspore15ActorThreadPoolE"))) {}

bool Threads::get_in_parallel() const { return in_parallel; }

// The pool of MindSpore's threads, if they have been started and it is what it is taken for.
void* Threads::pool() const {
  void* const pool = manager_->pool;
  const bool is_one = pool != nullptr && *static_cast<const void**>(pool) == kind_ + kBeforeFunctions;
  return is_one ? pool : nullptr;
}

void Threads::parallel_for(int n, const std::function<void(int, int)>& function) {
  void* const pool = n == 1 || count_ == 1 || in_parallel ? nullptr : this->pool();
  if (pool == nullptr) {
    for (int i = 0; i < n; ++i) function(i, n);
    return;
  }
  const Instance instance = [&](void*, int i, float, float) {
    in_parallel = true;
    function(i, n);
    in_parallel = false;
    return 0;
  };
  launch_(pool, instance, nullptr, n);
}
