// Text pairs to learn from: reading them from files that people really have, and holding some out.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace regrad::example {

// One example: the text that goes in and the text that should come out, both valid UTF-8.
struct Pair {
  std::string source, target;
  bool operator==(const Pair&) const = default;
};

// The pairs of a UTF-8 file one after another; one line is held at a time. The first line decides
// which of two forms the file has:
//   source <TAB> target [<TAB> attribution or count, ignored]     as Tatoeba and Anki export them
//   source, padded with spaces _ target, padded with spaces       one '_' and no tab
// A first line that names the columns is left out. Where the first pair stands in quotes, or a
// field holds doubled ones, as spreadsheets write them, the quotes around fields are taken off. A
// byte order mark, CRLF line ends and empty last lines are fine; spaces around a side are trimmed.
// Throws Error for a file that is missing, a directory or without a pair, and Error "FILE:LINE:
// what is wrong; what was expected" for a line that is longer than 1 MB, is not UTF-8, holds a NUL
// byte, or lacks the separator or a side.
class PairReader {
 public:
  enum class Form { unknown, tabs, padded };
  struct Where;  // a file and a line, for errors
  struct Place {
    int64_t line = 1, offset = 0;  // lines from 1, bytes from 0
  };

  explicit PairReader(const std::string& path);
  PairReader(std::unique_ptr<std::istream> input, std::string name);  // the name is for errors

  bool next(Pair& pair);  // false at the end

  // What was done to lines that are more or less than a pair, one sentence each; for the user.
  std::vector<std::string> remarks() const;

  // What is known of the quotes around the fields of a file.
  class Quotes {
   public:
    void take_off(Pair& pair, const Where& place);

   private:
    friend class PairReader;
    bool decided_ = false, around_all_ = false;
    int64_t taken_off_ = 0, left_ = 0;  // fields
  };

  // Where the line of the last pair begins; go_to() continues with that pair.
  Place place() const { return here_; }
  void go_to(Place place);

 private:
  std::unique_ptr<std::istream> input_;
  std::string name_, buffer_;
  std::string header_;
  Form form_ = Form::unknown;
  bool found_ = false;  // some pair
  Quotes quotes_;
  Place here_, next_;
};

// The next line of a text without its end, LF or CRLF, and how many bytes it took: 0 at the end.
// Never holds more than the longest line, 1 MB; false where one is longer.
constexpr std::size_t max_line_size = 1'000'000;  // bytes
bool read_line(std::streambuf& input, std::string& line, int64_t& taken);

// All pairs of a file, in its order; `remarks` becomes PairReader::remarks(). Throws what
// PairReader throws.
std::vector<Pair> read_pairs(const std::string& path, std::vector<std::string>* remarks = nullptr);

struct Split {
  std::vector<Pair> train, held_out;
};

// Divides the pairs by a hash of (seed, source), so that no source is on both sides and a pair's
// side depends neither on its place nor on the other pairs. Both sides keep the order.
// held_out_fraction of the distinct sources is held out, on average; throws Error outside [0, 1].
Split split(const std::vector<Pair>& pairs, double held_out_fraction, uint64_t seed);

// What split() asks of each pair.
bool is_held_out(std::string_view source, double held_out_fraction, uint64_t seed);
void check_fraction(double held_out_fraction);

}  // namespace regrad::example
