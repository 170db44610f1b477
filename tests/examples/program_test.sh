#!/bin/sh
# The attention program from end to end, in seconds: what it prints, writes, refuses, and repeats.
# usage: program_test.sh path/to/attention
set -u
program=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fault() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

# expect STATUS TEXT COMMAND...: the exit status, and a text that stdout or stderr must hold.
expect() {
  status=$1 text=$2
  shift 2
  "$@" >out 2>err </dev/null
  got=$?
  [ "$got" = "$status" ] || fault "$*: exit $got, expected $status: $(head -c 300 err)"
  grep -q -F -- "$text" out err || fault "$*: no \"$text\" in: $(head -c 300 out err)"
  # An error is one line for the user, never an abort.
  if [ "$status" = 1 ]; then
    [ "$(wc -l <err)" = 1 ] && grep -q '^attention: ' err || fault "$*: not one clear line: $(cat err)"
  fi
}

small="--hidden 16 --embedding 8 --batch 8 --steps 12 --pairs 120"

expect 0 "Usage" "$program" --help
expect 0 "--score" "$program" train --help
expect 2 "" "$program" dance
expect 2 "" "$program" train --steps none
expect 2 "" "$program" train --steps 5 --epochs 5
expect 2 "" "$program" train --score psychic

# The same bits for one thread and for two, and from run to run.
expect 0 "exact match" "$program" train $small --out one --threads 1
expect 0 "exact match" "$program" train $small --out two --threads 2
expect 0 "perplexity" "$program" evaluate --weights one --pairs 5
expect 0 "perplexity" "$program" evaluate --weights one/weights.safetensors --pairs 5
expect 2 "--lr: 0 is not a number from 1e-09 to 10" "$program" train --lr 0
expect 2 "--steps: 2.5 is not an integer from 1 to" "$program" train --steps 2.5
expect 1 "leave out --steps; only --threads" "$program" train --resume one --steps 40
expect 1 "--score is for gru and lstm" "$program" train --model transformer --score dot
mkdir mine && echo mine >mine/config.json
expect 1 "holds no run, but a config.json" "$program" train $small --out mine
[ "$(cat mine/config.json)" = mine ] || fault "a file that is no run's was overwritten"
expect 0 '`./run train --resume named`' env REGRAD_PROGRAM=./run "$program" train $small --out named
cp one/weights.safetensors alone.safetensors
expect 1 "give pairs with --data" "$program" evaluate --weights alone.safetensors
expect 1 "there is no such file" "$program" evaluate --weights nowhere
expect 0 "exact match" "$program" train $small --out again --threads 2
expect 0 "the run that was in again is now in again.1" "$program" train $small --out again
cmp again.1/weights.safetensors again/weights.safetensors || fault "the run before was not kept"
cmp one/weights.safetensors two/weights.safetensors || fault "1 and 2 threads differ"
cmp two/weights.safetensors again/weights.safetensors || fault "two runs differ"
cmp one/curves.tsv two/curves.tsv || fault "the losses of 1 and 2 threads differ"
grep -q '"snapshots":\[{' one/report.html || fault "no snapshots in report.html"
grep -q '<svg' one/attention.svg || fault "no picture in attention.svg"

# What is lost is told of: a full disk, a stream that is closed.
for command in "train $small --out full" "translate --weights one x" "show --weights one 1/2/03" \
  "evaluate --weights one --pairs 5" "tutorial --iterations 3" --help --version "train --help"; do
  "$program" $command >/dev/full 2>err && fault "$command onto a full disk ended with 0"
  grep -q "attention: standard output: cannot be written: No space" err ||
    fault "$command onto a full disk: $(tail -1 err)"
  "$program" $command >&- 2>err && fault "$command without standard output ended with 0"
done
yes "1/2/03" | head -n 300 | "$program" translate --weights one >/dev/full 2>err &&
  fault "translations onto a full disk ended with 0"
(
  trap '' PIPE
  yes "1/2/03" | head -n 20000 | "$program" translate --weights one
  echo $? >status
) 2>err | head -n 1 >out
[ "$(cat status)" = 1 ] || fault "translations into a closed pipe ended with $(cat status)"
"$program" translate --weights one <. >out 2>err && fault "a directory is no standard input"
"$program" translate --weights one <&- >out 2>err && fault "standard input was closed"
expect 1 "is a device" "$program" show --weights one 1/2/03 --svg /dev/full
expect 1 "is a directory" "$program" show --weights one 1/2/03 --html one
expect 0 "exact match" "$program" train $small --out blocked
rm blocked/report.html && mkfifo blocked/report.html
timeout 20 "$program" train --resume blocked >out 2>err && fault "a pipe was written to"
grep -q "^attention: blocked/report.html: is a pipe" err || fault "a pipe: $(cat err)"
[ -p blocked/report.html ] || fault "a pipe was replaced"
[ -s blocked/weights.safetensors ] || fault "a report that failed took the weights with it"
echo precious >precious && ln -s ../precious blocked/curves.tsv.unfinished && rm blocked/report.html
ln -s ../precious blocked/.writable
expect 0 "exact match" "$program" train --resume blocked
[ "$(cat precious)" = precious ] || fault "a file was emptied through a link"

# A folder has one run at a time, and no path is empty.
"$program" train $small --steps 100000 --out busy >out 2>&1 &
busy=$!
while [ ! -f busy/last ]; do sleep 0.1; done
expect 1 "busy: another run is writing into this folder" "$program" train $small --out busy
expect 1 "another run" "$program" train --resume ./busy/
kill -9 $busy
wait $busy 2>/dev/null
for option in "train --resume" "train --out" "train --data" "translate --weights" \
  "evaluate --data" "show x --svg" "show x --html"; do
  expect 2 "a path is empty" "$program" $option ""
done
[ ! -e runs ] || fault "an empty path began a run"

# Lines without an end are told of by their number, or left out and counted.
awk 'BEGIN { for (i = 0; i < 200; i++) printf "a%d b\tc%d d\n", i, i }' >long.tsv
awk 'BEGIN { for (i = 0; i < 300000; i++) printf "x"; printf "\ty\n" }' >>long.tsv
printf 'last\tlast\n' >>long.tsv
sized="--hidden 8 --embedding 8 --steps 3 --tokens char"
expect 1 "long.tsv:201: the source has 300000 tokens; at most 1000" "$program" train --data long.tsv $sized
expect 0 "1 pairs have a side of more than 40 tokens" "$program" train --data long.tsv $sized \
  --max-length 40 --out long
expect 0 ", 1 left out" "$program" train --data long.tsv $sized --max-length 40 --held-out 0 --out long2
expect 0 "exact match" "$program" train --resume long
expect 0 "perplexity" "$program" evaluate --weights long
expect 1 "long.tsv:201: the source has 300000 tokens" "$program" evaluate --weights long --data long.tsv
expect 2 "--max-length" "$program" train --data long.tsv --max-length 5000
{ echo 1/2/03 && cut -f 1 long.tsv; } | "$program" translate --weights one >out 2>err &&
  fault "a line of 300000 tokens was translated"
grep -q "standard input:202: .* 300000 tokens" err || fault "long line: $(cat err)"
[ "$(wc -l <out)" = 201 ] || fault "the lines before a long one were lost: $(wc -l <out)"
head -c 3000000 /dev/zero | tr '\0' x | "$program" translate --weights one >out 2>err &&
  fault "a line of 3 MB was translated"
grep -q "standard input:1: the line is longer than 1 MB" err || fault "longer line: $(cat err)"
mkfifo pipe.tsv
expect 1 "this is a pipe" timeout 20 "$program" train --data pipe.tsv

# Every score function trains.
for score in dot scaled general additive location distance cosine; do
  expect 0 "exact match" "$program" train $small --steps 2 --score $score --out $score
done

# Every model trains and translates.
for model in lstm transformer; do
  expect 0 "exact match" "$program" train $small --steps 2 --model $model --out $model
  expect 0 "" "$program" translate --weights $model --beam 3 "may 5, 1999"
done
expect 1 "multiple of its 4 heads" "$program" train $small --model transformer --hidden 18
expect 2 "" "$program" train --model oracle

# Beams and samples: N lines with scores and an empty one; the same seed, the same samples.
expect 0 "" "$program" translate --weights one --n-best 3 --length-penalty 0.6 "may 5, 1999"
[ "$(wc -l <out)" = 4 ] || fault "--n-best 3 gave $(wc -l <out) lines"
"$program" translate --weights one --n-best 2 --temperature 1 --top-k 5 --top-p 0.9 "1/2/03" >dice
"$program" translate --weights one --n-best 2 --temperature 1 --top-k 5 --top-p 0.9 "1/2/03" |
  cmp - dice || fault "the same seed gave other samples"
expect 2 "" "$program" translate --weights one --beam 0 "may 5, 1999"

# One line in, one line out.
expect 0 "" "$program" translate --weights one "may 5, 1999" "1/2/03"
[ "$(wc -l <out)" = 2 ] || fault "two texts gave $(wc -l <out) lines"
printf 'may 5, 1999\n\n1/2/03' | "$program" translate --weights one >out || fault "a pipe"
[ "$(wc -l <out)" = 3 ] || fault "three lines gave $(wc -l <out)"
[ -z "$(sed -n 2p out)" ] || fault "an empty line gave a text"
"$program" translate --weights one "may 5, 1999" >alone
head -n 1 out | cmp - alone || fault "a text is translated otherwise beside others"
[ -s err ] && fault "known characters are told of: $(cat err)"
expect 0 '"ß": the model was not trained on "ß"' "$program" translate --weights one "ß"
expect 0 "" "$program" show --weights one "may 5, 1999" --svg map.svg --html map.html
grep -q '<svg' map.svg || fault "no map.svg"
grep -q '<html' map.html || fault "no map.html"

# Files that are not what they should be.
expect 1 "missing" "$program" translate --weights missing hello
head -c 2000 one/weights.safetensors >cut.safetensors
expect 1 "cut.safetensors" "$program" translate --weights cut.safetensors hello
echo "hello" >foreign.safetensors
expect 1 "foreign.safetensors" "$program" translate --weights foreign.safetensors hello
: >empty.safetensors
expect 1 "empty.safetensors" "$program" translate --weights empty.safetensors hello
printf 'a\tb\nno tab here\n' >broken.tsv
expect 1 "broken.tsv:2:" "$program" train --data broken.tsv
expect 1 "absent.tsv" "$program" train --data absent.tsv
: >occupied
expect 1 "occupied" "$program" train $small --out occupied
printf 'a\tb\n' >single.tsv
expect 1 "held out" "$program" train --data single.tsv --held-out 0.9

# Words, and pairs of one's own.
for i in 1 2 3 4 5 6 7 8 9; do printf 'number %s .\tle nombre %s .\n' $i $i; done >words.tsv
expect 0 "exact match" "$program" train --data words.tsv --tokens word --hidden 8 --steps 5 --out w
mv words.tsv moved.tsv
expect 1 "learnt from words.tsv, which is not there" "$program" evaluate --weights w
mv moved.tsv words.tsv
expect 0 "" "$program" translate --weights w "number 3 ."

# What comes from data is written out on a terminal and in messages, and exact in a pipe.
on_a_terminal() {  # COMMAND...: what it prints on a terminal, as one text
  if command -v script >/dev/null; then script -qec "$*" /dev/null </dev/null; else "$@" 2>&1; fi
}
escape=$(printf '\033') turned=$(printf '\342\200\256')
i=0
while [ $i -lt 60 ]; do
  printf 'w%s\t%s[1m%s\n' $i "$escape" "$turned"
  i=$((i + 1))
done >hostile.tsv
"$program" train --data hostile.tsv --hidden 16 --lr 0.05 --steps 60 --out hostile >out 2>err || fault "hostile"
grep -q "$escape\|$turned" out err && fault "a sample sent an escape"
grep -q -F '\x1b[1m\u202e' out || fault "a sample does not show an escape: $(cat out)"
"$program" translate --weights hostile w1 >out || fault "translate hostile"
grep -q -F "$escape" out || fault "a pipe does not get what the model says: $(cat out)"
on_a_terminal "$program" translate --weights hostile w1 >out
grep -q -F "$escape" out && command -v script >/dev/null && fault "a terminal got an escape"
on_a_terminal "$program" show --weights hostile "${turned}w1" | grep -q -F "$turned" &&
  fault "a map sent a mark that turns text round"
expect 1 'no\x1b[2Jwhere' "$program" translate --weights "no${escape}[2Jwhere" x
grep -q "$escape" err && fault "an error sent an escape"
expect 2 '\x1b]0;' "$program" "$escape]0;title"
grep -q "$escape" err && fault "a wrong command sent an escape"

# A standard stream that is closed gives its number to no file.
"$program" train $small --out closed 2>&- >out || fault "standard error closed"
grep -l "steps/s\|loss" closed/config.json closed/last && fault "progress in a file"
"$program" translate --weights closed/weights.safetensors "may 5, 1999" >out 2>&- <&- ||
  fault "standard input and error closed"

"$program" translate --weights one <&- 2>err && fault "translates a closed standard input"
grep -q "standard input: cannot be read" err || fault "a closed standard input: $(cat err)"

# An option that changes nothing says so.
idle() {  # TEXT COMMAND...
  text=$1
  shift
  expect 0 "$text" "$@"
  grep -q '^attention: --.* has no effect: ' err || fault "$*: is not told of: $(cat err)"
}
idle "--top-k has no effect" "$program" translate --weights one --top-k 5 x
idle "--top-p has no effect" "$program" translate --weights one --top-p 0.5 x
idle "--seed has no effect" "$program" show --weights one --seed 5 1
idle "--beam has no effect" "$program" translate --weights one --beam 2 --temperature 1 x
idle "--beam has no effect" "$program" translate --weights one --beam 2 --n-best 3 x
idle "--length-penalty has" "$program" translate --weights one --beam 1 --length-penalty 1 x
idle "--length-penalty has" "$program" translate --weights one --temperature 1 --length-penalty 1 x
idle "--n-best has no effect" "$program" evaluate --weights one --pairs 3 --n-best 2
idle "--heads has no effect" "$program" train $small --steps 2 --heads 2 --out idle
idle "--merges has no effect" "$program" train $small --steps 2 --merges 9 --tokens char --out idle
idle "--merges has no effect" "$program" train $small --steps 2 --merges 9 --out idle
for option in "--embedding 8" --input-feeding --tie-output; do
  idle "${option% *} has no effect" "$program" train --model transformer --hidden 16 --pairs 60 \
    --steps 2 $option --out idle
done
expect 0 "" "$program" --threads 1 translate --weights one "may 5, 1999"
cmp out alone || fault "--threads before the command changed the answer"
expect 0 "threshold" "$program" --threads 2 tutorial --iterations 5
expect 2 "not an integer" "$program" --threads 0
expect 2 "not an integer from 0 to 1000000000" "$program" translate --weights one --top-k -1 x

# A mark before the first line, names of columns and quotes are told from text.
printf '\357\273\277may 5, 1999\n' | "$program" translate --weights one >out 2>err
cmp out alone && [ ! -s err ] || fault "a byte order mark: $(cat err)"
{ echo "english	french" && cat words.tsv; } >named.tsv
expect 0 'named.tsv:1: "english / french" is taken for a header' "$program" train \
  --data named.tsv --tokens word --hidden 8 --steps 5 --out named_columns
sed 's/\(.*\)	\(.*\)/"\1"	"\2"/' words.tsv >quoted.tsv
expect 0 "18 fields stand in quotes" "$program" train --data quoted.tsv --tokens word --hidden 8 \
  --steps 5 --out quoted
for i in 1 2 3 4 5 6 7 8 9; do printf 'number %s\t数字是%s。\n' $i $i; done >zh.tsv
expect 0 "BLEU (zh)" "$program" train --data zh.tsv --hidden 8 --steps 5 --held-out 0.5 \
  --out zh
expect 0 "BLEU (zh)" "$program" evaluate --weights zh --data zh.tsv

expect 0 "threshold" "$program" tutorial --iterations 20
expect 0 "gradient" "$program" tutorial --score additive --iterations 5

[ "$failures" = 0 ] || { echo "$failures failures" >&2; exit 1; }
echo "all good"
