// SPDX-License-Identifier: Apache-2.0
// A file is replaced in one go: whatever ends a save before its end, a crash, a full disk or an error, leaves
// the old file.
#include "support/saved_stack.hpp"

#include <symopt/normalization/sign.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

namespace state_file_test { namespace {

std::vector<std::string> calls;  // of the system, in order
bool rename_fails = false;

}}  // namespace state_file_test

// Seen instead of the C library's by what is linked here.
extern "C" int fsync(int file) {
  struct stat status {};
  ::fstat(file, &status);
  state_file_test::calls.push_back(S_ISDIR(status.st_mode) ? "fsync folder" : "fsync file");
  return static_cast<int>(::syscall(SYS_fsync, file));
}
extern "C" int rename(const char* from, const char* to) noexcept {
  state_file_test::calls.push_back("rename");
  if (state_file_test::rename_fails) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace state_file_test { namespace {

using namespace symopt;
using namespace symopt_test;
namespace fs = std::filesystem;

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / ("symopt_state_" + std::to_string(::getpid()));
  TemporaryFolder() {
    fs::remove_all(path);
    fs::create_directory(path);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
};

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A stack of two megabytes and its states after one and after two steps.
struct Large {
  std::vector<float> weights = std::vector<float>(1 << 19, 1.0F);
  std::vector<float> gradient = std::vector<float>(1 << 19, 2.0F);
  LayerwiseOptimizer one, two;

  Large() {
    const std::vector<Index> sizes{1 << 10, 1 << 9};
    for (LayerwiseOptimizer* stack : {&one, &two}) {
      stack->add<Sign>("w", TensorView<float>(weights.data(), sizes),
                       TensorView<const float>(gradient.data(), sizes));
      stack->step();
    }
    two.step();
  }
};

TEST_CASE("new contents are on the disk before they have the name, and the name before save returns") {
  const TemporaryFolder folder;
  TrainedStack trained;
  calls.clear();
  interop::save_state(trained.stack, folder.path / "state");
  CHECK(calls == std::vector<std::string>{"fsync file", "rename", "fsync folder"});
  CHECK(folder.names() == std::vector<std::string>{"state"});
  CHECK(contents(folder.path / "state") == trained.bytes());
}

/// Runs in a child process; how it ended.
int status_of_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST_CASE("a crash after any number of bytes leaves the old file") {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  Large large;
  interop::save_state(large.one, path);
  const std::string old = contents(path);
  const rlim_t size = old.size();
  for (const rlim_t bytes : {rlim_t{0}, rlim_t{1}, rlim_t{100}, rlim_t{4096}, size / 2, size - 1}) {
    CAPTURE(bytes);
    const int status = status_of_child([&] {
      const rlimit most{bytes, bytes}, no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::signal(SIGXFSZ, SIG_DFL);
      ::setrlimit(RLIMIT_FSIZE, &most);
      interop::save_state(large.two, path);
    });
    CHECK(WIFSIGNALED(status));
    CHECK(contents(path) == old);
  }
  interop::save_state(large.two, path);  // what was left of those is no obstacle
  CHECK(contents(path) == interop::state_bytes(large.two));
  CHECK(folder.names() == std::vector<std::string>{"state"});
}

TEST_CASE("kill -9 at random moments leaves the old file or the new one") {
  CAPTURE(default_seed);
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  Large large;
  const std::string one = interop::state_bytes(large.one), two = interop::state_bytes(large.two);
  const auto begin = std::chrono::steady_clock::now();
  interop::save_state(large.one, path);
  const std::chrono::duration<double> save = std::chrono::steady_clock::now() - begin;
  Random random(default_seed);
  int replaced = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const std::string before = contents(path);
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) {
        interop::save_state(large.two, path);
        interop::save_state(large.one, path);
      }
    std::this_thread::sleep_for(save * std::uniform_real_distribution<double>(0.1, 4.1)(random));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string after = contents(path);
    CHECK((after == one || after == two));
    replaced += after != before ? 1 : 0;
  }
  CHECK(replaced > 0);  // the kills did not all come before the first save
}

TEST_CASE("a disk that is full is an error, and leaves the old file alone") {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  Large large;
  interop::save_state(large.one, path);
  const std::string old = contents(path);
  const int status = status_of_child([&] {
    const rlimit most{100'000, 100'000};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &most);
    try {
      interop::save_state(large.two, path);
    } catch (const std::system_error& error) {
      const std::string text = error.what();
      ::_exit(text.find("state.partial") != std::string::npos && text.starts_with("symopt: ") ? 7 : 8);
    }
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(contents(path) == old);
  CHECK(folder.names() == std::vector<std::string>{"state"});
}

TEST_CASE("a rename that fails leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  TrainedStack first({}, 1), second({}, 2);
  interop::save_state(first.stack, path);
  rename_fails = true;
  CHECK_THROWS_AS(interop::save_state(second.stack, path), std::system_error);
  rename_fails = false;
  CHECK(contents(path) == first.bytes());
  CHECK(folder.names() == std::vector<std::string>{"state"});
}

TEST_CASE("a state that is refused does not touch the file") {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  TrainedStack good;
  interop::save_state(good.stack, path);
  StackPlan plan;
  plan.head.non_finite = NonFinite::unchecked;
  TrainedStack bad(plan);
  bad.model["head"].gradient[0] = std::numeric_limits<float>::quiet_NaN();
  bad.stack.step();
  CHECK_THROWS_AS(interop::save_state(bad.stack, path), std::invalid_argument);
  CHECK(contents(path) == good.bytes());
  CHECK(folder.names() == std::vector<std::string>{"state"});
}

TEST_CASE("two saves to one path at a time: the second is refused, the first is whole") {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "state";
  TrainedStack trained;
  interop::FileReplacement first(path);
  CHECK_THROWS_AS(interop::save_state(trained.stack, path), std::system_error);
  first.write("first", 5);
  first.commit();
  CHECK(contents(path) == "first");
  interop::save_state(trained.stack, path);
  CHECK(contents(path) == trained.bytes());
}

TEST_CASE("permissions and symbolic links stay") {
  const TemporaryFolder folder;
  TrainedStack trained;
  std::ofstream(folder.path / "real") << "old";
  fs::permissions(folder.path / "real", fs::perms(0640));
  fs::create_symlink("real", folder.path / "latest");
  interop::save_state(trained.stack, folder.path / "latest");
  CHECK(fs::is_symlink(folder.path / "latest"));
  CHECK(contents(folder.path / "real") == trained.bytes());
  CHECK(fs::status(folder.path / "real").permissions() == fs::perms(0640));
}

TEST_CASE("files that cannot be read or written are errors with their path") {
  const TemporaryFolder folder;
  TrainedStack trained;
  const auto check = [](const auto& call, const char* word) {
    std::string text;
    try {
      call();
    } catch (const std::exception& error) {
      text = error.what();
    }
    CAPTURE(text);
    CHECK(text.find(word) != std::string::npos);
  };
  check([&] { interop::load_state(trained.stack, folder.path / "nothing"); }, "cannot open");
  check([&] { interop::load_state(trained.stack, folder.path); }, "cannot read");
  check([&] { interop::save_state(trained.stack, folder.path / "no" / "such"); }, "cannot open");
  std::ofstream(folder.path / "short") << "abc";
  check([&] { interop::load_state(trained.stack, folder.path / "short"); }, "3 bytes");
}

}}  // namespace state_file_test
