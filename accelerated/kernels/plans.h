// Plans by problem, shared by all threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "plan.h"

// Make something of oneDNN's that is to run on so many threads.
template <class Make>
auto made_for(Threads& threads, Make make) {
  int before = 0;
  const auto& dnn = library().dnn;
  check(dnn.threadpool_interop_get_max_concurrency(&before));
  check(dnn.threadpool_interop_set_max_concurrency(threads.get_num_threads()));
  auto made = make();
  check(dnn.threadpool_interop_set_max_concurrency(before));
  return made;
}

// A network has a few dozen problems; when there are more than kPlans (images of ever other sizes),
// all are forgotten and made anew as they are needed.
constexpr size_t kPlans = 512;

// What `make` makes of the problem, made once.
template <class Problem, class Make>
auto remembered(const Problem& problem, Make make) {
  using Made = decltype(make());
  static std::mutex mutex;
  static std::map<Problem, Made> plans;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = plans.find(problem);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kPlans) plans.clear();
  return plans[problem] = make();
}
