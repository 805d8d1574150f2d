// SPDX-License-Identifier: Apache-2.0
// What may lie where a state is saved to or loaded from.
#include <symopt/derive/update.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/adaptive.hpp>
#include <symopt/optimizer/optimizer.hpp>
#include <symopt/state/state.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace file_edges_test { namespace {

using namespace symopt;
namespace fs = std::filesystem;

/// A folder of its own, which goes with it.
struct Folder {
  Folder() { fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path = fs::temp_directory_path() / ("symopt_file_edges_" + std::to_string(::getpid()));
};

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
std::string error_of(const auto& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

using Head = Optimizer<Update<LmHead>>;

TEST_CASE("what lies beside the file and is not ours is left alone") {
  const Folder folder;
  const fs::path state = folder.path / "state", partial = folder.path / "state.partial";
  const Head optimizer(4, 3);
  SUBCASE("a link to somebody's file") {
    write(folder.path / "thesis", "a long thesis");
    fs::create_symlink("thesis", partial);
    CHECK_THROWS_AS(interop::save_state(optimizer, state), std::system_error);
    CHECK(contents(folder.path / "thesis") == "a long thesis");
    CHECK(fs::is_symlink(partial));
  }
  SUBCASE("a pipe that nobody reads") {
    REQUIRE(::mkfifo(partial.c_str(), 0600) == 0);
    CHECK_THROWS_AS(interop::save_state(optimizer, state), std::system_error);
    CHECK(fs::is_fifo(partial));
  }
  SUBCASE("a folder") {
    fs::create_directory(partial);
    CHECK_THROWS_AS(interop::save_state(optimizer, state), std::system_error);
  }
  SUBCASE("what a crash left is replaced") {
    write(partial, std::string(5000, 'x'));
    interop::save_state(optimizer, state);
    Head again(4, 3);
    CHECK_NOTHROW(interop::load_state(again, state));
    CHECK_FALSE(fs::exists(partial));
  }
}

TEST_CASE("a chain of links is followed to where it ends, also where nothing is yet") {
  const Folder folder;
  fs::create_directory(folder.path / "runs");
  fs::create_symlink("runs/latest", folder.path / "state");
  fs::create_symlink(folder.path / "runs" / "first", folder.path / "runs" / "latest");
  const Head optimizer(4, 3);
  interop::save_state(optimizer, folder.path / "state");
  CHECK(fs::is_symlink(folder.path / "state"));
  CHECK(fs::is_symlink(folder.path / "runs" / "latest"));
  CHECK(fs::is_regular_file(fs::symlink_status(folder.path / "runs" / "first")));
  Head again(4, 3);
  CHECK_NOTHROW(interop::load_state(again, folder.path / "state"));
  fs::create_symlink("round", folder.path / "round");
  CHECK_THROWS_AS(interop::save_state(optimizer, folder.path / "round"), std::system_error);
}

TEST_CASE("what cannot be a state is said to be none, after a look at its beginning") {
  const Folder folder;
  const fs::path path = folder.path / "state";
  Head optimizer(4, 3);
  const auto refuses = [&](const std::string& part) {
    const std::string message = error_of([&] { interop::load_state(optimizer, path); });
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
    CHECK(message.find(path.string()) != std::string::npos);
  };
  refuses("No such file");
  fs::create_directory(path);
  refuses("Is a directory");
  fs::remove(path);
  write(path, "");
  refuses("it has 0 bytes");
  write(path, "PK\3\4 an archive of something else");
  refuses("the header is said to have");
  // Sparse, and larger than memory: reading it first would take minutes.
  write(path, std::string("\4\0\0\0\0\0\0\0no", 10));
  fs::resize_file(path, std::uintmax_t{1} << 40);
  refuses("does not begin with '{'");
}

TEST_CASE("a header is padded with spaces, not with zeros") {
  const Folder folder;
  const fs::path path = folder.path / "state";
  Head optimizer(4, 3);
  interop::save_state(optimizer, path);
  std::string bytes = contents(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  length += 8;
  std::memcpy(bytes.data(), &length, 8);
  for (const char padding : {' ', '\0'}) {
    std::string padded = bytes;
    padded.insert(static_cast<std::size_t>(length), 8, padding);
    write(path, padded);
    const std::string message = error_of([&] { interop::load_state(optimizer, path); });
    CAPTURE(message);
    CHECK(message.empty() == (padding == ' '));
    if (padding == '\0') CHECK(message.find("byte 0") != std::string::npos);
  }
}

TEST_CASE("a state that no step makes is refused, and the one that was there stays") {
  const Folder folder;
  const fs::path path = folder.path / "state";
  const Matrix<float> gradient = Matrix<float>::Random(4, 3);
  /// Writes a number at so many bytes from the beginning of the arrays, or before the end.
  const auto overwrite = [&](const auto& number, bool at_end) {
    std::string bytes = contents(path);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    const std::size_t place = at_end ? bytes.size() - sizeof number : 8 + static_cast<std::size_t>(length);
    std::memcpy(bytes.data() + place, &number, sizeof number);
    write(path, bytes);
  };
  const auto refuses = [&]<class Rule>(Rule, const auto& number, bool at_end, const char* part) {
    Optimizer<Rule> optimizer(4, 3);
    Matrix<float> weights = Matrix<float>::Ones(4, 3);
    optimizer.step(weights, gradient);
    interop::save_state(optimizer, path);
    overwrite(number, at_end);
    Matrix<float> moved = weights, expected = weights;
    Optimizer<Rule> other(4, 3), undisturbed(4, 3);
    other.step(moved, gradient);
    undisturbed.step(expected, gradient);
    const std::string message = error_of([&] { interop::load_state(other, path); });
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
    other.step(moved, gradient);
    undisturbed.step(expected, gradient);
    CHECK(moved == expected);
  };
  refuses(AdamW{}, -1e-3F, true, "state second is negative");
  refuses(AdamW{}, std::int64_t{-4}, false, "step' is -4");
  refuses(Adaptive<LmHead>{}, -1e-3, false, "root_mean_squares is negative");
  refuses(Adaptive<HiddenMatrix>{}, -1e-3, false, "mean square in its state is negative");
  refuses(Adaptive<Trivial>{}, -1e-3F, true, "root_mean_squares is negative");
}

}}  // namespace file_edges_test
