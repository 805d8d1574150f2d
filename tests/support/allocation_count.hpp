// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>

// Counts every allocation of the program, operator new and Eigen's among them: all end in malloc or one of
// its kin. Included by one translation unit of an executable, for it defines these functions.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SYMOPT_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SYMOPT_TEST_SANITIZED 1
#endif
#endif

namespace symopt_test {

inline std::atomic<long> allocations{0};
inline std::atomic<std::size_t> allocated_bytes{0};
inline thread_local long allocations_of_thread = 0;  // of the calling one alone

inline void count_allocation(std::size_t bytes) {
  ++allocations;
  ++allocations_of_thread;
  allocated_bytes += bytes;
}

}  // namespace symopt_test

#ifdef SYMOPT_TEST_SANITIZED

// A sanitizer owns malloc and offers a hook.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace symopt_test {

inline const bool is_counting = [] {
  return __sanitizer_install_malloc_and_free_hooks(
             [](const volatile void*, std::size_t bytes) { count_allocation(bytes); },
             [](const volatile void*) {}) != 0;
}();

}  // namespace symopt_test

#else

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  symopt_test::count_allocation(size);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  symopt_test::count_allocation(count * size);
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  symopt_test::count_allocation(size);
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  symopt_test::count_allocation(size);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  symopt_test::count_allocation(size);
  return __libc_memalign(alignment, size);
}

}  // extern "C"

#endif
