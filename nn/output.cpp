// Writers: a file is replaced whole or not at all, and nothing but a regular file is replaced.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>

#include "autograd/check.h"
#include "nn/files.h"

namespace regrad::nn::files {
namespace {

constexpr size_t max_name = 255;  // bytes, of a file in its folder
constexpr int max_links = 40;     // the kernel's

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);  // with the slash; "" for this folder
}

// The end of a chain of symbolic links: the file there is replaced, and the links stay.
std::string end_of_links(std::string path) {
  std::array<char, 4096> to;
  for (int links = 0; links < max_links; ++links) {
    const ssize_t size = ::readlink(path.c_str(), to.data(), to.size());
    if (size < 0) return path;
    const std::string next(to.data(), static_cast<size_t>(size));
    path = next.starts_with('/') ? next : folder_of(path) + next;
  }
  fail("is a chain of more than {} symbolic links", max_links);
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "no regular file";
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// The file at `path`, which must be one that may be replaced; nothing where there is none.
std::optional<struct stat> replaceable(const std::string& path) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  check_done(exists || errno == ENOENT, "cannot be looked at");
  if (!exists) return std::nullopt;
  check(S_ISREG(status.st_mode), "is {}; only a regular file is replaced", kind_of(status.st_mode));
  check_done(::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0, "may not be written");
  return status;
}

// A name beside `path`, cut to what a folder takes.
std::string name_beside(const std::string& path) {
  static std::atomic<int> counter = 0;
  const std::string end = fmt::format(".{}-{}.tmp", ::getpid(), counter++),
                    folder = folder_of(path);
  size_t size = std::min(path.size() - folder.size(), max_name - end.size());
  const auto cuts_a_character = [&] {
    const size_t next = folder.size() + size;
    return next < path.size() && (static_cast<unsigned char>(path[next]) & 0xC0) == 0x80;
  };
  while (size > 0 && cuts_a_character()) --size;
  return path.substr(0, folder.size() + size) + end;
}

int make_file(const std::string& path, mode_t mode) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

void write_whole(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    check_done(written >= 0, fmt::format("cannot write {} more bytes", bytes.size()));
    check(written > 0, "takes no more of {} bytes", bytes.size());
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void sync_folder(const std::string& folder) {
  const int file =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0 && errno == EACCES) return;  // writable, but not readable: it cannot be synced
  check_done(file >= 0, "cannot open its folder");
  const bool synced = ::fsync(file) == 0 || errno == EINVAL;
  const int error = errno;
  ::close(file);
  errno = error;
  check_done(synced, "cannot sync its folder");
}

}  // namespace

Output::Output(const std::string& path, bool sums) : path_(end_of_links(path)), sums_(sums) {
  const std::optional<struct stat> before = replaceable(path);
  const std::optional<struct stat> end = replaceable(path_);
  check(before ? end && is_same(*before, *end) : !end, "is a link to what has no name");
  do {  // a link or a file that is there already is neither followed nor emptied
    temporary_ = name_beside(path_);
    file_ = make_file(temporary_, before ? 0600 : 0666);
  } while (file_ < 0 && errno == EEXIST);
  const int error = errno;
  if (file_ < 0) temporary_.clear();
  errno = error;
  check_done(file_ >= 0, "cannot create a file in its folder");
  if (!before) return;
  const bool owned = ::fchown(file_, before->st_uid, before->st_gid) == 0;
  static_cast<void>(::fchmod(file_, before->st_mode & (owned ? 07777 : 0777)));
}

Output::~Output() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void Output::write(const void* from, int64_t count) {
  const std::string_view bytes(static_cast<const char*>(from), static_cast<size_t>(count));
  write_whole(file_, bytes);
  if (sums_) sum_ = crc32c(bytes, sum_);
}

void Output::write(const Tensor& x) {
  const NoGrad guard;
  write(bytes_of(detached(x).to(cpu).contiguous()));
}

void Output::overwrite(int64_t at, std::string_view text) {
  check_done(::lseek(file_, at, SEEK_SET) == at, "cannot go back in it");
  write_whole(file_, text);
}

void Output::commit() {
  check_done(::fsync(file_) == 0, "cannot bring it to the disk");
  check_done(::close(std::exchange(file_, -1)) == 0, "cannot close");
  replaceable(path_);
  check_done(::rename(temporary_.c_str(), path_.c_str()) == 0, "cannot replace it");
  temporary_.clear();
  sync_folder(folder_of(path_));
}

void write_text(const std::string& path, std::string_view text) {
  Output file(path);
  file.write(text);
  file.commit();
}

Log::Log(const std::string& path) : file_(make_file(path, 0666)) {
  check_done(file_ >= 0, "cannot be made");
}

Log::~Log() { ::close(file_); }

void Log::append(std::string_view piece) { write_whole(file_, piece); }

Lock::~Lock() {
  if (file_ >= 0) ::close(file_);
}

bool Lock::take() {
  while (true) {
    if (file_ >= 0) ::close(file_);
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    check_done(file_ >= 0, "cannot be opened");
    struct stat locked {
    }, named{};
    check_done(::fstat(file_, &locked) == 0, "cannot be looked at");
    check(S_ISREG(locked.st_mode), "is {}, not a file to lock", kind_of(locked.st_mode));
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      check_done(errno == EWOULDBLOCK, "cannot be locked");
      return false;
    }
    // Its folder may have been moved away meanwhile; then another file has this name.
    if (::stat(path_.c_str(), &named) == 0 && is_same(locked, named)) return true;
  }
}

}  // namespace regrad::nn::files
