"""What the pages of recordings.py must show, where what was recorded is known."""
from tracepage import CARD, same


def of(name):
    return CASES.get(name, [])


def ledger_of_h(page):
    """h is used by two ops: after the first it waits, after the second it has the sum."""
    page.go("#b4")
    card = page.run(CARD)
    assert "waits for 1 more" in card["ledgers"][0]["head"], card["ledgers"]
    assert "waits for 1 more" in card["live"], card["live"]
    same(card["ledgers"][0]["rows"][0]["addend"]["numbers"], ["0.3133", "0.5165", "1.4039"])
    page.go("#b7")
    ledger = page.run(CARD)["ledgers"][0]
    assert "complete" in ledger["head"], ledger
    same([row["sum"]["numbers"] for row in ledger["rows"]],
         [["0.3133", "0.5165", "1.4039"], ["-0.0183", "0.2281", "2.0239"]])


def formula_with_numbers(page):
    page.go("#b7")
    same(page.texts(".forward .formula"), ["y = a b", "= 0.5 · [1 2 4]", "= [0.5 1.0 2.0]"])
    same(page.texts(".edge:last-child .formula")[1], "= [-0.6631 -0.5768 1.2399] · 0.5")
    page.go("#b1")  # a user's own op has none
    assert "no formula" in page.text(".forward"), page.text(".forward")


def predicts(page):
    """A shape, a sign, a number; right, wrong and shown; the score."""
    page.go("#b1")
    page.key("p")
    same(page.run("return document.querySelectorAll('.gradient-out').length"), 0)
    for typed, told, score in (("scalar", "✓ Right", "1 of 1 right"),
                               ("-", "✕ Wrong: it is + (", "1 of 2 right"),
                               ("2.23", "✓ Right", "2 of 3 right"),
                               ("[4]", "✕ Wrong: it is [3]", "2 of 4 right")):
        question = page.text(".question")
        assert question.startswith("Predict"), question
        page.browser.keys(".question input", typed + "\ue007")
        assert told in page.text(".verdict"), (question, page.text(".verdict"))
        same(page.text(".score"), score)
        same(page.run("return document.querySelectorAll('.gradient-out').length"), 1)
        page.key("ArrowRight")
    page.run("document.querySelector('.question .plain').click()")
    assert "Shown" in page.text(".verdict"), page.text(".verdict")
    page.key("ArrowRight")
    page.browser.keys(".question input", "7\ue007")
    page.key("ArrowRight")
    page.browser.keys(".question input", "scalar\ue007")
    same(page.text(".score"), "Score at the end: 3 of 6 right")
    page.key("p")
    same(page.text(".verdict"), "")


def keys(page):
    page.go("#b1")
    page.key("ArrowRight", "ArrowRight", "ArrowLeft")
    same(page.text(".position"), "backward step 2 of 7")
    page.key("f")
    same(page.text(".position"), "op 6 of 7")
    page.key("ArrowRight")
    same(page.text(".position"), "op 7 of 7")
    page.key("f", "Home", "ArrowDown", "ArrowDown")
    same(page.text(".position"), "backward step 7 of 7")
    page.go("#f3")
    page.key("u")  # softmax is used by mul
    same(page.text(".position"), "op 4 of 7")
    page.key("f", "?")
    same(page.run("return document.querySelector('dialog').open"), True)
    page.run("document.querySelector('dialog').close()")
    page.run("document.querySelector('.near').click()")
    same(page.text(".position"), "backward step 5 of 7")
    page.key("n")
    assert "No NaN" in page.text(".toast"), page.text(".toast")


def one_row_for_time_steps(page):
    """Twelve time steps are one row with a slider, which a step of backward moves."""
    page.go("#b1")
    rows = page.rows()
    same(sum("× 12" in row for row in rows), 1)
    same([row for row in rows if "Cell::operator()" in row],
         ["▾Cell::operator()loop.cpp:113 ops, unfolded"])
    slider = "return document.querySelector('.row input[type=range]').value"
    page.go("#b2")
    same(page.run(slider), "12")
    page.go("#b37")
    same(page.run(slider), "1")
    page.run("const slider = document.querySelector('.row input[type=range]'); slider.value = 5;"
             "slider.dispatchEvent(new Event('input', {bubbles: true}))")
    assert "5 of 12" in page.text(".picker"), page.text(".picker")
    page.key("ArrowDown", "ArrowDown", "ArrowDown")
    same(page.text(".body h2"), "matmul #17")
    page.key("]")
    assert "6 of 12" in page.text(".picker"), page.text(".picker")
    same(page.texts(".row .label")[:2], ["main › train", "Encoder::operator()"])


def folded_ops_stay_folded(page):
    page.go("#b5")
    page.key("Home", "Enter")
    same(len(page.rows()), 1)
    page.go("#b5")  # a link opens what it leads into
    assert len(page.rows()) > 1
    page.key("Home", "Enter", "ArrowRight")  # a step does not
    same(len(page.rows()), 1)
    same(page.text(".position"), "backward step 6 of 37")
    page.go("#b5")


def many_uses_of_a_weight(page):
    page.go("#b37")
    ledger = page.run(CARD)["ledgers"][0]
    same((len(ledger["rows"]), ledger["waiting"]), (12, 0))
    assert "used 12 ×" in ledger["head"], ledger["head"]


def marks_what_has_no_node(page):
    page.go("#f4")
    same(page.text(".tag"), "no node: detached")


def failed_op_is_last(page):
    same(page.text(".row.failed .label"), "linear")
    assert "[2, 4], weight [5, 3]" in page.text(".failure"), page.text(".failure")
    same(page.text(".position"), "the op that threw")
    same(page.text(".source .marked .code").strip(), "Tensor z = linear(y, weight);")
    same(page.selected("aria-posinset"), page.selected("aria-setsize"))
    told = page.text("[aria-live]")
    assert told.startswith("linear at failing.cpp:6 threw"), told


def jumps_to_nan(page):
    page.go("#b1")
    page.key("n")
    same(page.text(".position"), "op 3 of 4")  # where it was made, not where the gradient met it
    same(page.text(".strip .sign"), "NaN")
    page.go("#b3")
    assert "NaN" in page.text("[aria-live]"), page.text("[aria-live]")


def nothing_is_markup(page):
    same(page.text("h1"), "large </script><script>document.title='broken'</script>")
    page.go("#b6")
    assert "<img src=x onerror=alert(1)>" in page.text(".signature"), page.text(".signature")
    assert "<b>bold</b>" in page.text(".source .marked .code")


def maps(page):
    """A map with its statistics for what is too large, tables by shape for what is not."""
    page.go("#f3")
    assert page.run("return document.querySelectorAll('.mark').length") > 0
    same(page.texts(".statistics td.bad"), ["20", "1"])
    page.go("#f6")
    same(page.texts(".tensor .slice figcaption"), ["[0, :, :]", "[1, :, :]"])
    same(page.texts(".tensor .slice:first-child tr"), ["0123", "00123", "14567", "2891011"])


def finds_one_of_many(page):
    page.key("/")
    page.browser.keys("input[type=search]", "block_37")
    same(page.text(".count"), "1 of 200")
    assert "block_37" in page.text(".where"), page.text(".where")
    page.browser.keys("input[type=search]", "\ue00c")


def unfolds_many(page):
    """All 10,000 rows at once, of which those in sight exist."""
    page.go("#b1")
    page.run("for (let {node} of rows) if (node.kind === 'call') open.add(node.path);"
             "flatten(); draw()")
    page.key("ArrowRight")
    assert int(page.selected("aria-setsize")) > 10000
    assert len(page.rows()) < 100


CASES = {
    "attention": [ledger_of_h, formula_with_numbers, predicts, keys],
    "loop": [one_row_for_time_steps, folded_ops_stay_folded, many_uses_of_a_weight,
             marks_what_has_no_node],
    "failing": [failed_op_is_last],
    "planted_nan": [jumps_to_nan],
    "large": [nothing_is_markup, maps],
    "many": [finds_one_of_many, unfolds_many],
}
