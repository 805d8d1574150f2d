// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace symopt { inline namespace SYMOPT_ABI { namespace interop {

/// New contents for a file, all or nothing: they go to PATH.partial in the same folder and replace PATH at
/// commit(), once they are on the disk. Whatever happens before (an exception, a crash, a power cut) leaves
/// PATH as it was, and at most a PATH.partial, which the next replacement overwrites.
/// Two replacements of one path at a time: the second is refused. A symbolic link stays one: the file that it
/// names is replaced, or made. What lies at PATH.partial and is no plain file (a link, a pipe) is refused.
/// The new file has the permissions of the old one. POSIX. Errors: std::system_error with the path.
class FileReplacement {
 public:
  /// Opens PATH.partial, for this object alone.
  explicit FileReplacement(const std::filesystem::path& path) : path_(end_of_links(path)) {
    partial_ = path_;
    partial_ += ".partial";
    open_alone();
  }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement() {
    if (file_ < 0) return;
    ::unlink(partial_.c_str());
    ::close(file_);
  }

  /// Appends bytes to the new contents.
  void write(const void* bytes, std::size_t count) {
    const char* next = static_cast<const char*>(bytes);
    while (count > 0) {
      const ssize_t written = ::write(file_, next, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("cannot write", partial_);
      next += written;
      count -= static_cast<std::size_t>(written);
    }
  }

  /// Puts the new contents in place of the old. To be called once, after which nothing is written.
  void commit() {
    struct stat old {};
    if (::stat(path_.c_str(), &old) == 0) (void)::fchmod(file_, old.st_mode & 07777);
    if (::fsync(file_) != 0) fail("cannot write to the disk", partial_);
    if (::rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot replace", path_);
    ::close(std::exchange(file_, -1));
    sync_folder();
  }

 private:
  [[noreturn]] static void fail(const char* what, const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(),
                            std::string("symopt: ") + what + " '" + path.string() + "'");
  }

  /// The end of a chain of symbolic links, whether anything is there or not.
  static std::filesystem::path end_of_links(std::filesystem::path path) {
    constexpr int most = 40;  // as the kernel has it
    for (int links = 0; std::filesystem::is_symlink(std::filesystem::symlink_status(path)); ++links) {
      if (links == most) {
        errno = ELOOP;
        fail("cannot open", path);
      }
      path = path.parent_path() / std::filesystem::read_symlink(path);  // an absolute one replaces all
    }
    return path;
  }

  void require_plain_file() {
    struct stat opened {};
    if (::fstat(file_, &opened) == 0 && S_ISREG(opened.st_mode)) return;
    ::close(std::exchange(file_, -1));
    errno = EEXIST;
    fail("what is there is no plain file; remove it to save: cannot open", partial_);
  }

  void open_alone() {
    for (;;) {
      // Not through a link, and without waiting for the reader of a pipe.
      file_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
      if (file_ < 0) fail("cannot open", partial_);
      require_plain_file();
      if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        ::close(std::exchange(file_, -1));
        errno = error;
        fail("somebody else is writing", partial_);
      }
      // Between open and flock another replacement may have put the file into its place, where it stays.
      struct stat ours {
      }, named{};
      if (::fstat(file_, &ours) == 0 && ::stat(partial_.c_str(), &named) == 0 &&
          ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
        break;
      ::close(std::exchange(file_, -1));
    }
    if (::ftruncate(file_, 0) != 0) {
      const int error = errno;
      ::close(std::exchange(file_, -1));
      errno = error;
      fail("cannot write", partial_);
    }
  }

  /// The name is on the disk once its folder is.
  void sync_folder() const {
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) return;  // a folder that may be written to but not read
    (void)::fsync(opened);
    ::close(opened);
  }

  std::filesystem::path path_;
  std::filesystem::path partial_;
  int file_ = -1;
};

}}}  // namespace symopt::interop
