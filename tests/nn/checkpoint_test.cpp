// safetensors and npy: what is written, what is read, and every way in which a file can be wrong.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/errors.h"
#include "tests/nn/patterns.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("nn");

// A folder for one test, removed after it.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  int64_t files() const {
    return std::distance(std::filesystem::directory_iterator(path),
                         std::filesystem::directory_iterator());
  }
};

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string with_length(const std::string& header, const std::string& data = "") {
  std::string bytes;
  for (size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + data;
}

TEST_CASE("safetensors: written bytes are the reference writer's") {
  const Folder folder;
  nn::save_safetensors(folder / "a",
                       {{"a", zeros({2})},
                        {"i", zeros({1}, {.dtype = int64})},
                        {"d", zeros({1}, {.dtype = float64})},
                        {"m", zeros({3}, {.dtype = bool_})},
                        {"\u00e9\n", zeros({})}},
                       {{"x", "y\u00e9\x7f\x01"}});
  const std::string header =
      "{\"__metadata__\":{\"x\":\"y\u00e9\x7f\\u0001\"},"
      "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
      "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]},"
      "\"\u00e9\\n\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
      "\"m\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[28,31]}}  ";
  CHECK(bytes_of(folder / "a") == with_length(header, std::string(31, '\0')));
}

TEST_CASE("safetensors: what is saved is loaded, views and all") {
  const Folder folder;
  const Tensor x = waves({3, 4});
  nn::NamedTensors saved = {{"view", transpose(narrow(x, 1, 1, 2), 0, 1)},
                            {"flags", tensor({true, false, true}, {3})},
                            {"count", tensor({int64_t{-5}, int64_t{1} << 40}, {2})},
                            {"none", zeros({0, 4})},
                            {"one", tensor({0.5f}, {})}};
  nn::save_safetensors(folder / "x", saved, {{"step", "7"}, {"text", "a\"b\\c"}});
  nn::save_safetensors(folder / "x", saved, {{"step", "8"}, {"text", "a\"b\\c"}});
  CHECK(folder.files() == 1);
  const nn::Safetensors loaded = nn::load_safetensors(folder / "x");
  CHECK(loaded.metadata == nn::Metadata{{"step", "8"}, {"text", "a\"b\\c"}});
  REQUIRE(loaded.tensors.size() == saved.size());
  for (const auto& [name, value] : saved) {
    const Tensor& back = loaded.tensors.at(name);
    CHECK(back.dtype() == value.dtype());
    CHECK(largest_difference(back, value) == 0);
  }
  nn::Linear first(3, 2), second(3, 2);
  nn::save_safetensors(folder / "model", nn::state_dict(first));
  nn::load_state_dict(second, nn::load_safetensors(folder / "model").tensors);
  CHECK(largest_difference(first.weight, second.weight) == 0);
}

TEST_CASE("safetensors: an optimiser continues from its file") {
  const Folder folder;
  Tensor p = tensor({1.0f, 2.0f}, {2}, {.requires_grad = true});
  optim::Adam first({p});
  sum(square(p)).backward();
  first.step();
  nn::save_safetensors(folder / "adam", first.state_dict());
  optim::Adam second({p});
  second.load_state_dict(nn::load_safetensors(folder / "adam").tensors);
  CHECK(second.state_dict().size() == first.state_dict().size());
}

TEST_CASE("safetensors: narrow numbers become float32 and int64") {
  const Folder folder;
  const auto load = [&](const std::string& dtype, const std::string& data, int size) {
    const std::string count = std::to_string(data.size() / static_cast<size_t>(size));
    write(folder / "n",
          with_length("{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + count +
                          "],\"data_offsets\":[0," + std::to_string(data.size()) + "]}}",
                      data));
    return nn::load_safetensors(folder / "n").tensors.at("x");
  };
  const std::string halves("\x00\x3c\x01\x00\xff\x7b\x00\xfc\x00\x80", 10);
  CHECK(load("F16", halves, 2).to_vector<float>() ==
        std::vector<float>{1, 0x1p-24f, 65504, -INFINITY, -0.0f});
  CHECK(load("BF16", std::string("\x80\x3f\x00\xc0", 4), 2).to_vector<float>() ==
        std::vector<float>{1, -2});
  CHECK(std::isnan(load("F16", "\x01\x7e", 2).item<float>()));
  CHECK(load("I8", "\xff\x7f", 1).to_vector<int64_t>() == std::vector<int64_t>{-1, 127});
  CHECK(load("U8", "\xff\x7f", 1).to_vector<int64_t>() == std::vector<int64_t>{255, 127});
  CHECK(load("I16", std::string("\x00\x80", 2), 2).item<int64_t>() == -32768);
  CHECK(load("U32", "\xff\xff\xff\xff", 4).item<int64_t>() == 4294967295);
  CHECK(load("I32", "\xff\xff\xff\xff", 4).dtype() == int64);
  CHECK(load("BOOL", std::string("\x00\x01\x02", 3), 1).to_vector<bool>() ==
        std::vector<bool>{false, true, true});
  CHECK_ERROR(load("U64", "\xff\xff\xff\xff\xff\xff\xff\xff", 8), "too large for int64");
  CHECK_ERROR(load("F8_E4M3", "\x01", 1), "F8_E4M3, which is not supported");
}

TEST_CASE("safetensors: a malformed file is one error that names it") {
  const Folder folder;
  const std::string path = folder / "bad";
  const auto reading = [&](const std::string& bytes) {
    write(path, bytes);
    const std::string text = error_of([&] { nn::load_safetensors(path); });
    CHECK(text.starts_with("load_safetensors: " + path + ": "));
    return text;
  };
  const auto refuses = [&](const std::string& bytes, const std::string& reason) {
    const std::string text = reading(bytes);
    CHECK_MESSAGE(text.find(reason) != std::string::npos, text);
  };
  const auto entry = [](const std::string& name, const std::string& shape,
                        const std::string& index) {
    return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + index +
           "}";
  };
  const std::string four(4, 'x'), eight(8, 'x');
  refuses("", "has 0 bytes");
  refuses("1234567", "has 7 bytes");
  refuses(std::string(8, '\xff'), "at most 100000000");
  refuses(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8), "at most 100000000");
  refuses(std::string("\x09\0\0\0\0\0\0\0{}", 10), "has 2 after the first 8");
  refuses(with_length(""), "does not begin with {");
  refuses(with_length(" {}"), "does not begin with {");
  refuses(with_length("\xef\xbb\xbf{}"), "does not begin with {");
  refuses(with_length("[]"), "does not begin with {");
  refuses(with_length("{}x"), "not JSON");
  refuses(with_length("{\"a\":"), "not JSON");
  refuses(with_length(std::string("{}\0", 3)), "not JSON");
  refuses(with_length("{\"\xff\":1}"), "not JSON");
  refuses(with_length("{}", "x"), "take 0 bytes, the file has 1");
  refuses(with_length("{\"a\":1}"), "a number where none belongs");
  refuses(with_length("{\"a\":[" + std::string(1'000'000, '[')), "a list where none belongs");
  refuses(with_length("{\"a\":{\"dtype\":{}}}"), "an object where none belongs");
  refuses(with_length("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}"), "lacks dtype, shape or data");
  refuses(
      with_length("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"b\":1}}", four),
      "a field of that name");
  refuses(with_length("{\"__metadata__\":{\"a\":1}}"), "a number where none belongs");
  refuses(with_length("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), "names \"a\" twice");
  refuses(
      with_length("{" + entry("a", "[1]", "[0,4]") + "," + entry("a", "[1]", "[4,8]") + "}", eight),
      "names \"a\" twice");
  refuses(with_length("{\"a\":{\"shape\":[],\"shape\":[]}}"), "names \"shape\" twice");
  for (const char* text : {"\\x", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\u12g4", "\xc0\x80",
                           "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\n", "\\"}) {
    refuses(with_length("{\"__metadata__\":{\"a\":\"" + std::string(text) + "\"}}"), "not JSON");
  }
  refuses(with_length("{\"__metadata__\":{\"a\":\"b\",}}"), "not JSON");
  refuses(with_length("{\"a\":{\"shape\":[1,]}}"), "not JSON");
  refuses(with_length("{\"a\":{\"shape\":[01]}}"), "not JSON");
  refuses(with_length(std::string("{\"a\":{\"shape\":[\0]}}", 17)), "not JSON");
  for (const char* number : {"-1", "1.0", "1e2", "18446744073709551616", "null", "true", "\"1\""}) {
    refuses(with_length("{" + entry("a", "[" + std::string(number) + "]", "[0,4]") + "}", four),
            "where none belongs");
  }
  refuses(with_length("{" + entry("a", "[1,1,1,1,1,1,1,1,1]", "[0,4]") + "}", four),
          "more than 8 dimensions");
  refuses(with_length("{" + entry("a", "[4294967296,4294967296]", "[0,0]") + "}"), "too large");
  refuses(with_length("{" + entry("a", "[4611686018427387904]", "[0,0]") + "}"), "too large");
  refuses(with_length("{" + entry("a", "[18446744073709551615]", "[0,4]") + "}", four),
          "size of 1844");
  refuses(with_length("{" + entry("a", "[2]", "[0,4]") + "}", four), "needs 8 bytes");
  refuses(with_length("{" + entry("a", "[1]", "[4,0]") + "}", four), "not [begin, end]");
  refuses(with_length("{" + entry("a", "[1]", "[4]") + "}", four), "not [begin, end]");
  refuses(with_length("{" + entry("a", "[1]", "[0,4,4]") + "}", four), "not [begin, end]");
  refuses(with_length("{" + entry("a", "[1]", "[4,8]") + "}", eight), "begins at byte 4");
  refuses(
      with_length("{" + entry("a", "[1]", "[0,4]") + "," + entry("b", "[1]", "[0,4]") + "}", four),
      "begins at byte 0");
  refuses(with_length("{" + entry("a", "[1]", "[0,4]") + "}", four + "x"), "the file has 5");
  refuses(with_length("{" + entry("a", "[1]", "[0,4]") + "}", "xyz"), "the file has 3");
  const std::string quoted =
      reading(with_length("{" + entry("\\u001b[2J", "[2]", "[0,4]") + "}", four));
  CHECK(quoted.find('\x1b') == std::string::npos);
  CHECK_ERROR(nn::load_safetensors(folder / "nowhere"), "No such file");
  CHECK_ERROR(nn::load_safetensors(folder.path.string()), "not a regular file");
  CHECK_ERROR(nn::load_safetensors("/dev/zero"), "not a regular file");
}

TEST_CASE("a failed save leaves what was there") {
  const Folder folder;
  nn::save_safetensors(folder / "x", {{"a", ones({1})}});
  const std::string before = bytes_of(folder / "x");
  CHECK_ERROR(nn::save_safetensors(folder / "x", {{"a", ones({1})}, {"a", ones({1})}}),
              "two tensors");
  CHECK_ERROR(nn::save_safetensors(folder / "x", {{"a", Tensor()}}), "undefined");
  CHECK_ERROR(nn::save_safetensors(folder / "x", {{"\xff", ones({1})}}), "not UTF-8");
  CHECK_ERROR(nn::save_safetensors(folder / "x", {{"__metadata__", ones({1})}}), "__metadata__");
  CHECK_ERROR(nn::save_safetensors(folder / "none/x", {}), "No such file");
  std::filesystem::create_directory(folder / "directory");
  CHECK_ERROR(nn::save_safetensors(folder / "directory", {}), "is a directory");
  CHECK(bytes_of(folder / "x") == before);
  CHECK(folder.files() == 2);
}

TEST_CASE("writers: only a regular file is replaced") {
  const Folder folder;
  const auto refuses = [&](const std::string& path, const std::string& what) {
    const auto kind = std::filesystem::status(path).type();
    CHECK_ERROR(nn::save_npy(path, ones({2})), "save_npy: " + path + ": is " + what);
    CHECK_ERROR(nn::save_safetensors(path, {{"a", ones({2})}}), "is " + what);
    CHECK(std::filesystem::status(path).type() == kind);
  };
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  refuses(folder / "pipe", "a pipe");
  std::filesystem::create_directory(folder / "directory");
  refuses(folder / "directory", "a directory");
  refuses("/dev/null", "a device");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, {}};
  REQUIRE((folder / "socket").copy(address.sun_path, sizeof address.sun_path - 1) > 0);
  REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  refuses(folder / "socket", "a socket");
  ::close(socket);
  std::filesystem::create_symlink("/dev/null", folder / "link");
  refuses(folder / "link", "a device");
  std::filesystem::create_symlink("loop", folder / "loop");
  CHECK_ERROR(nn::save_npy(folder / "loop", ones({2})), "symbolic links");
  CHECK(folder.files() == 5);
}

TEST_CASE("writers: a symbolic link stays, and its target is replaced") {
  const Folder folder;
  std::filesystem::create_directory(folder / "far");
  std::filesystem::create_symlink("far/second", folder / "first");
  std::filesystem::create_symlink(folder / "third", folder / "far/second");
  for (const float value : {1.0f, 2.0f}) {  // first there is nothing at the end of the links
    nn::save_npy(folder / "first", full({1}, value));
    CHECK(std::filesystem::is_symlink(folder / "first"));
    CHECK(std::filesystem::is_symlink(folder / "far/second"));
    CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(folder / "third")));
    CHECK(nn::load_npy(folder / "third").item<float>() == value);
  }
  CHECK(folder.files() == 3);
}

TEST_CASE("writers: mode and owner stay; a file that may not be written is left") {
  const Folder folder;
  const std::string path = folder / "x";
  nn::save_npy(path, ones({1}));
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::chown(path.c_str(), 1234, 4321) == 0);
  nn::save_npy(path, zeros({1}));
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0640);
  if (is_root) CHECK((about.st_uid == 1234 && about.st_gid == 4321));
  if (is_root) return;  // who may write everything
  REQUIRE(::chmod(path.c_str(), 0440) == 0);
  CHECK_ERROR(nn::save_npy(path, ones({1})), "Permission denied");
  CHECK(nn::load_npy(path).item<float>() == 0);
}

TEST_CASE("writers: names as long as a folder takes, and what lies at the temporary name") {
  const Folder folder;
  for (const size_t size : {size_t{230}, size_t{240}, size_t{254}, size_t{255}}) {
    const std::string path = folder / std::string(size, 'x');
    nn::save_npy(path, ones({1}));
    CHECK(nn::load_npy(path).item<float>() == 1);
  }
  std::string letters;
  for (int i = 0; i < 127; ++i) letters += "é";
  nn::save_npy(folder / letters, ones({1}));
  CHECK(folder.files() == 5);
  CHECK_ERROR(nn::save_npy(folder / std::string(256, 'x'), ones({1})), "File name too long");
  write(folder / "victim", "whole");
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "y." + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp";
    std::filesystem::create_symlink("victim", folder / name);
  }
  nn::save_npy(folder / "y", ones({1}));
  CHECK(nn::load_npy(folder / "y").item<float>() == 1);
  CHECK(bytes_of(folder / "victim") == "whole");
}

TEST_CASE("safetensors: a checksum of every byte, where it is asked for") {
  const Folder folder;
  const std::string path = folder / "x";
  const nn::NamedTensors tensors = {{"a", waves({3})}, {"b", tensor({true, false}, {2})}};
  nn::save_safetensors(path, tensors, {{"k", "v"}}, {.checksum = true});
  const nn::Safetensors back = nn::load_safetensors(path);
  CHECK(back.verified);
  CHECK(back.metadata == nn::Metadata{{"k", "v"}});
  CHECK(largest_difference(back.tensors.at("a"), tensors.at("a")) == 0);
  const std::string whole = bytes_of(path);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {1, 2, 32, 128}) {
      std::string broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ bit);
      write(path, broken);
      bool found = false;
      try {
        found = !nn::load_safetensors(path).verified;  // the flip was in the checksum's name
      } catch (const Error&) {
        found = true;
      }
      CHECK_MESSAGE(found, "byte " << i << ", bit " << bit);
    }
  }
  nn::save_safetensors(path, tensors);
  CHECK(!nn::load_safetensors(path).verified);
  CHECK_ERROR(nn::save_safetensors(path, tensors, {{"regrad.crc32c", "1"}}), "checksum's");
}

TEST_CASE("safetensors: lists without an end and a million names take little memory") {
  const Folder folder;
  const std::string path = folder / "big";
  const auto status = [](const std::string& name) {  // of this process, in bytes
    std::ifstream lines("/proc/self/status");
    for (std::string word; lines >> word;) {
      long kilobytes = 0;
      if (word == name && lines >> kilobytes) return kilobytes * 1024;
    }
    return 0L;
  };
  const auto takes = [&](const std::string& reason) {
    [[maybe_unused]] const auto size = static_cast<long>(std::filesystem::file_size(path));
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew, where that is allowed
    [[maybe_unused]] const long before = status("VmRSS:");
    CHECK_ERROR(nn::load_safetensors(path), reason);
    [[maybe_unused]] const long largest = status("VmHWM:");
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what is freed
    CHECK_MESSAGE(largest - before <= size + (16 << 20), (largest - before)
                                                             << " bytes for " << size);
#endif
  };
  std::string list;
  for (int i = 0; i < 10'000'000; ++i) list += "1,";
  write(path, with_length("{\"a\":{\"dtype\":\"F32\",\"shape\":[" + list + "1]}}"));
  takes("more than 8 dimensions");
  write(path, with_length("{\"a\":{\"data_offsets\":[" + list + "1]}}"));
  takes("not [begin, end]");
  std::string header = "{";
  for (int i = 0; i < 1'000'000; ++i) {
    header += "\"" + std::to_string(i) +
              "\":{\"dtype\":\"U8\",\"shape\":[0,0,0,0,0,0,0,0],\"data_offsets\":[0,0]},";
  }
  write(path,
        with_length(header + "\"0\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", "x"));
  takes("names \"0\" twice");
  std::string metadata;
  for (int i = 0; i < 1'000'000; ++i) metadata += "\"" + std::to_string(i) + "\":\"\",";
  write(path, with_length("{\"__metadata__\":{" + metadata + "\"x\":\"\"}}"));
  takes("more than 100000 entries");
  write(path,
        with_length("{\"__metadata__\":{\"x\":\"" + std::string(50'000'000, 'x') + "\"}", ""));
  takes("not JSON");
}

std::string npy(const std::string& header, const std::string& data = "", int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(major);
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  }
  return bytes + header + data;
}

TEST_CASE("npy: written bytes are NumPy's") {
  const Folder folder;
  nn::save_npy(folder / "a", tensor({1.0f, 2.0f}, {2, 1}));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  const std::string padded = header + std::string(117 - header.size(), ' ') + "\n";
  CHECK(bytes_of(folder / "a") == npy(padded, std::string("\0\0\x80\x3f\0\0\0\x40", 8)));
}

TEST_CASE("npy: what is saved is loaded") {
  const Folder folder;
  for (const Tensor& x : {waves({2, 3, 4}), waves({}), waves({0, 2}), tensor({true, false}, {2}),
                          tensor({-1, 5}, {2, 1}), transpose(waves({2, 3}).to(float32), 0, 1)}) {
    nn::save_npy(folder / "x", x);
    const Tensor back = nn::load_npy(folder / "x");
    CHECK(back.dtype() == x.dtype());
    CHECK(largest_difference(back, x) == 0);
  }
}

TEST_CASE("npy: versions, orders, widths and spellings") {
  const Folder folder;
  const auto load = [&](const std::string& bytes) {
    write(folder / "x", bytes);
    return nn::load_npy(folder / "x");
  };
  const std::string fortran = "{\"shape\":(2,2L,),'fortran_order':True ,'descr' : '|u1'}\n";
  for (const int major : {1, 2, 3}) {
    CHECK(load(npy(fortran, "\x01\x02\x03\xff", major)).to_vector<int64_t>() ==
          std::vector<int64_t>{1, 3, 2, 255});
  }
  const auto one = [&](const std::string& descr, const std::string& data) {
    return load(npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (), }", data));
  };
  CHECK(one(">i2", "\xff\xfe").item<int64_t>() == -2);
  CHECK(one(">f4", std::string("\x3f\x80\0\0", 4)).item<float>() == 1);
  CHECK(one("<f2", std::string("\x00\x3c", 2)).item<float>() == 1);
  CHECK(one(">f8", std::string("\x3f\xf0\0\0\0\0\0\0", 8)).item<double>() == 1);
  CHECK(one("<u8", std::string("\x01\0\0\0\0\0\0\0", 8)).item<int64_t>() == 1);
  for (const char* descr : {"|O", "<c8", "<U2", "<f1", "|b2", "<i3", "<M8", "f4", "", "<f16"}) {
    CHECK_ERROR(one(descr, "12345678"), "are supported");
  }
}

TEST_CASE("npy: a malformed file is one error that names it") {
  const Folder folder;
  const std::string path = folder / "bad.npy";
  const auto refuses = [&](const std::string& bytes, const std::string& reason) {
    write(path, bytes);
    const std::string text = error_of([&] { nn::load_npy(path); });
    CHECK(text.starts_with("load_npy: " + path + ": "));
    CHECK_MESSAGE(text.find(reason) != std::string::npos, text);
  };
  const std::string start = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
  refuses("", "not an .npy file");
  refuses("PK\x03\x04 an archive", "not an .npy file");
  refuses(npy("", "", 4), "version 4.0");
  refuses(std::string("\x93NUMPY\x02\0\0\0", 10), "first 12 bytes");
  refuses(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12), "at most 10000");
  refuses(std::string("\x93NUMPY\x01\0\x10\0", 10), "announces a header of 16 bytes");
  refuses(npy(""), "should have '{'");
  refuses(npy("{'descr': '<f4', 'fortran_order': False}"), "lacks descr");
  refuses(npy(start + "(2,), 'x': 1}"), "unknown or came before");
  refuses(npy(start + "(2,), 'shape': (2,)}"), "unknown or came before");
  refuses(npy(start + "(2)}"), "comma");
  refuses(npy(start + "(-2,)}"), "should have a size");
  refuses(npy(start + "(2.5,)}"), "comma");
  refuses(npy(start + "(02,)}"), "should have a size");
  refuses(npy(start + "(99999999999999999999,)}"), "too large");
  refuses(npy(start + "(4294967296, 4294967296)}"), "too large");
  refuses(npy(start + "(1, 1, 1, 1, 1, 1, 1, 1, 1)}"), "more than 8");
  refuses(npy(start + "(2,)} import"), "goes on after");
  refuses(npy(start + "(2,)}", "1234567"), "need 8 bytes, and it has 7");
  refuses(npy(start + "(2,)}", "123456789"), "need 8 bytes, and it has 9");
  refuses(npy(start + "(1000000000000,)}", "1234"), "need 4000000000000 bytes");
  refuses(npy("{'descr': '<f4'"), "should have '}'");
  refuses(npy("{'descr': '<f4"), "should have a string");
  CHECK_ERROR(nn::load_npy(folder / "nowhere"), "No such file");
}

TEST_SUITE_END();

}  // namespace
