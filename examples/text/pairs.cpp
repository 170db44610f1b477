#include "examples/text/pairs.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "autograd/error.h"
#include "autograd/text.h"
#include "examples/text/fields.h"
#include "examples/text/unicode.h"

namespace regrad::example {

struct PairReader::Where {
  const std::string& path;
  int64_t line;
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}:{}: {}", path, line, what));
  }
};

namespace {

using Form = PairReader::Form;
using Where = PairReader::Where;

int64_t bytes_of_line(std::streambuf& input, std::string& line, const Where& place) try {
  int64_t taken = 0;
  if (!read_line(input, line, taken)) {
    place.fail("the line is longer than 1 MB; expected one pair on each line");
  }
  return taken;
} catch (const std::ios_base::failure&) {  // a disk that fails, a folder in the place of a file
  place.fail("cannot be read; expected a file of text pairs");
}

void check_text(std::string_view line, const Where& place) {
  if (line.starts_with("\xFF\xFE") || line.starts_with("\xFE\xFF")) {
    place.fail("the file looks like UTF-16; expected UTF-8");
  }
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t length = code_point_length(line, i);
    const auto byte = static_cast<unsigned char>(line[i]);
    if (length == 0) {
      place.fail(fmt::format("byte {} (0x{:02X}) is not UTF-8; expected UTF-8 text", i + 1, byte));
    }
    if (byte == 0) place.fail(fmt::format("byte {} is NUL; expected UTF-8 text", i + 1));
    if (byte == '\r') {
      place.fail(fmt::format("byte {} is a carriage return; expected lines that end in LF or CRLF",
                             i + 1));
    }
    i += length;
  }
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

bool has_one_underscore(std::string_view line) {
  const std::size_t first = line.find('_');
  return first != std::string_view::npos && line.find('_', first + 1) == std::string_view::npos;
}

Form form_of(std::string_view line, const Where& place) {
  if (line.find('\t') != std::string_view::npos) return Form::tabs;
  if (has_one_underscore(line)) return Form::padded;
  place.fail("no separator; expected \"source<TAB>target\" or \"source _target\"");
}

Pair parse(std::string_view line, Form form, PairReader::Quotes& quotes, const Where& place) {
  const bool tabs = form == Form::tabs;
  const char* expected = tabs ? "source<TAB>target" : "source _target";
  const std::size_t cut = line.find(tabs ? '\t' : '_');
  if (cut == std::string_view::npos) {
    place.fail(fmt::format("no {}; expected \"{}\", as on line 1", tabs ? "tab" : "'_'", expected));
  }
  if (!tabs && line.find('\t') != std::string_view::npos) {
    place.fail(fmt::format("a tab; expected \"{}\", as on line 1", expected));
  }
  if (!tabs && !has_one_underscore(line)) {
    place.fail(fmt::format("more than one '_'; expected \"{}\", as on line 1", expected));
  }
  std::string_view rest = line.substr(cut + 1);
  if (tabs) rest = rest.substr(0, rest.find('\t'));
  Pair pair{trimmed(line.substr(0, cut)), trimmed(rest)};
  if (tabs) quotes.take_off(pair, place);
  if (pair.source.empty())
    place.fail(fmt::format("the source is empty; expected \"{}\"", expected));
  if (pair.target.empty())
    place.fail(fmt::format("the target is empty; expected \"{}\"", expected));
  return pair;
}

std::unique_ptr<std::istream> open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(fmt::format("{}: this is a directory; expected a file of text pairs", path));
  }
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    throw Error(path +
                ": this is a pipe or a device; expected a file, which is read several times");
  }
  errno = 0;
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  const int error = errno;
  if (!*file) {
    throw Error(fmt::format("{}: cannot be read: {}; expected a file of text pairs", path,
                            error != 0 ? std::strerror(error) : "unknown reason"));
  }
  return file;
}

// 64-bit FNV-1a, then the finaliser of splitmix64, so that short texts fill all the bits.
uint64_t hash(std::string_view text, uint64_t seed) {
  uint64_t h = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}

}  // namespace

bool read_line(std::streambuf& input, std::string& line, int64_t& taken) {
  line.clear();
  taken = 0;
  constexpr int end = std::char_traits<char>::eof();
  int byte = input.sbumpc();
  for (; byte != end && byte != '\n'; byte = input.sbumpc(), ++taken) {
    if (line.size() == max_line_size) return false;
    line.push_back(static_cast<char>(byte));
  }
  if (line.ends_with('\r')) line.pop_back();
  taken += byte == '\n' ? 1 : 0;
  return true;
}

PairReader::PairReader(const std::string& path) : PairReader(open(path), path) {}

PairReader::PairReader(std::unique_ptr<std::istream> input, std::string name)
    : input_(std::move(input)), name_(std::move(name)) {}

bool PairReader::next(Pair& pair) {
  int64_t empty_line = 0;
  for (bool more = true; more;) {
    const Where place{name_, next_.line};
    const int64_t taken = bytes_of_line(*input_->rdbuf(), buffer_, place);
    more = taken > 0;
    std::string_view line = buffer_;
    if (place.line == 1 && line.starts_with(byte_order_mark)) {
      line.remove_prefix(byte_order_mark.size());
    }
    here_ = next_;
    next_ = {next_.line + 1, next_.offset + taken};
    if (line.empty()) {
      if (more && empty_line == 0) empty_line = place.line;
      continue;
    }
    if (empty_line != 0) Where{name_, empty_line}.fail("the line is empty; expected a pair");
    check_text(line, place);
    if (form_ == Form::unknown) form_ = form_of(line, place);
    pair = parse(line, form_, quotes_, place);
    if (place.line == 1 && is_header(pair.source, pair.target)) {
      header_ = pair.source + " / " + pair.target;
      quotes_ = {};  // the first pair decides
      continue;
    }
    return found_ = true;
  }
  if (form_ == Form::unknown) {
    throw Error(name_ + ": the file is empty; expected one text pair on each line");
  }
  if (!found_) {
    throw Error(name_ + ": the file has a header and no pair; expected one text pair on each line");
  }
  return false;
}

// The first pair decides for the others. Doubled quotes leave no doubt on any line.
void PairReader::Quotes::take_off(Pair& pair, const Where& place) {
  std::optional<std::string> source = unquoted(pair.source), target = unquoted(pair.target);
  if (!decided_) around_all_ = source && target;
  decided_ = true;
  const bool is_cut = around_all_ && !source && !target && pair.source.starts_with('"') &&
                      pair.target.ends_with('"');
  if (is_cut) place.fail("a field in quotes holds a tab; expected none within a field");
  for (const auto& [text, plain] : {std::pair(&pair.source, &source), {&pair.target, &target}}) {
    if (!*plain) continue;
    const bool are_marks = around_all_ || (*plain)->find('"') != std::string::npos;
    ++(are_marks ? taken_off_ : left_);
    if (are_marks) *text = trimmed(**plain);
  }
}

std::vector<std::string> PairReader::remarks() const {
  std::vector<std::string> all;
  if (!header_.empty()) {
    all.push_back(fmt::format("{}:1: \"{}\" is taken for a header, not for a pair", name_,
                              shortened(header_)));
  }
  if (quotes_.taken_off_ > 0) {
    all.push_back(
        fmt::format("{}: {} fields stand in quotes, as a spreadsheet writes them; the "
                    "quotes are taken off",
                    name_, quotes_.taken_off_));
  }
  if (quotes_.left_ > 0) {
    all.push_back(
        fmt::format("{}: {} fields begin and end with a quote; as the first pair has no "
                    "such fields, the quotes are taken for text",
                    name_, quotes_.left_));
  }
  return all;
}

void PairReader::go_to(Place place) {
  input_->clear();
  if (input_->rdbuf()->pubseekpos(place.offset) != std::streampos(place.offset)) {
    throw Error(name_ + ": cannot be read again from the middle; expected an ordinary file");
  }
  next_ = place;
}

std::vector<Pair> read_pairs(const std::string& path, std::vector<std::string>* remarks) {
  PairReader reader(path);
  std::vector<Pair> pairs;
  for (Pair pair; reader.next(pair);) pairs.push_back(std::move(pair));
  if (remarks != nullptr) *remarks = reader.remarks();
  return pairs;
}

bool is_held_out(std::string_view source, double held_out_fraction, uint64_t seed) {
  return static_cast<double>(hash(source, seed) >> 11) * 0x1p-53 < held_out_fraction;
}

void check_fraction(double held_out_fraction) {
  if (!(held_out_fraction >= 0 && held_out_fraction <= 1)) {
    throw Error(fmt::format("split: held_out_fraction is {}; it must be between 0 and 1",
                            held_out_fraction));
  }
}

Split split(const std::vector<Pair>& pairs, double held_out_fraction, uint64_t seed) {
  check_fraction(held_out_fraction);
  Split result;
  for (const Pair& pair : pairs) {
    const bool apart = is_held_out(pair.source, held_out_fraction, seed);
    (apart ? result.held_out : result.train).push_back(pair);
  }
  return result;
}

}  // namespace regrad::example
