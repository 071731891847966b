import os
import tempfile
import threading
import time
import unittest
from collections import Counter

from wordcount import count, follow, top, words


class Words(unittest.TestCase):
    def test_case_and_punctuation_do_not_count(self):
        self.assertEqual(list(words("The cat, the CAT; the -- cat!")), ["the", "cat"] * 3)

    def test_apostrophes_and_hyphens_stay_in_a_word(self):
        self.assertEqual(list(words("don't re-use o’clock")), ["don't", "re-use", "o’clock"])

    def test_letters_of_every_script_are_letters(self):
        self.assertEqual(list(words("Žluťoučký kůň 東京 42")), ["žluťoučký", "kůň", "東京"])

    def test_numbers_are_not_words(self):
        self.assertEqual(list(words("1 2 3 testing_4")), ["testing"])


class Counting(unittest.TestCase):
    def test_nothing_counts_as_nothing(self):
        self.assertEqual(count([]), Counter())

    def test_a_large_text_is_counted(self):
        lines = ("lorem ipsum dolor sit amet\n" for _ in range(20_000))
        self.assertEqual(count(lines)["dolor"], 20_000)

    def test_equal_counts_are_in_alphabetical_order(self):
        self.assertEqual(top(Counter(b=2, a=2, c=5), 2), [("c", 5), ("a", 2)])


class Following(unittest.TestCase):
    def test_lines_that_come_later_are_counted(self):
        with tempfile.NamedTemporaryFile("w", suffix=".log", delete=False, encoding="utf-8") as file:
            file.write("first li")
        self.addCleanup(os.unlink, file.name)

        def write_later():
            for piece in ("ne\n", "second line\n", "third"):
                time.sleep(0.2)
                with open(file.name, "a", encoding="utf-8") as later:
                    later.write(piece)

        writer = threading.Thread(target=write_later)
        writer.start()
        total = follow(file.name, idle_seconds=0.5)
        writer.join()
        self.assertEqual(total, Counter(line=2, first=1, second=1, third=1))


if __name__ == "__main__":
    unittest.main()
