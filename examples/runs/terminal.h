// Where text meets the terminal: nothing that comes from data, files or arguments is sent to it as
// a command, and nothing is sent to a file that took a closed stream's place.
#pragma once

#include <string>
#include <string_view>

#include "autograd/text.h"

namespace regrad::example {

// One line for the user on standard error: "attention: " and the message, printable. The lines of a
// list follow one another.
void say(std::string_view message);

// Lines that matter only where a command does what it was asked for: kept until its work begins.
void remark(std::string message);
void say_remarks();

// text with each of its lines printable.
std::string printable_lines(std::string_view text);

// What a command was asked for, on its way to standard output: printable on a terminal; in a file
// or a pipe exactly as it is.
std::string exact_or_printable(std::string_view text);

// Whether the stream is a terminal that knows cursor movements and colours.
bool obeys_escapes(int stream);
bool wants_colour();  // NO_COLOR is not set
int columns_of_terminal(int stream, int otherwise);

// The terminal columns that text takes, after East Asian Width (Unicode TR 11): a combining mark
// none, a Chinese, Japanese or Korean character two.
int display_columns(std::string_view text);

// A standard stream that is closed would be the number of the next file opened, and what is written
// to it would end up there. Makes reading or writing such a stream fail.
void reserve_standard_streams();

}  // namespace regrad::example
