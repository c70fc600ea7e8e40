r"""What is known of each public math benchmark.

Hub ids, revisions, columns and files were taken from public code that loads these data sets and
from stored copies of the Hub's pages; the Hub itself was not asked. A revision of None was not
found anywhere. Row counts and contents were computed from the files that the origins publish, where
this project has read them: a content of None says that it has not. MGSM, GSM-Symbolic,
GSM8K-Platinum and the DeepSeek-R1 traces were not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import Conventions, Source, Split, Task

ANY_FILE = ("*.parquet", "*.jsonl", "*.json")
TELUGU = "te"  # codespell:ignore te
MGSM_LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", TELUGU, "th", "zh")


def _one_answer(row: Mapping[str, Any]) -> bool:
    return ";" not in str(row["answer"])


TASKS = (
    Task(
        name="gsm8k",
        summary="grade-school word problems, two to eight steps, whole-number answers",
        licence="MIT",
        conventions=Conventions(units="problem"),  # golds are plain numbers
        earlier=(Conventions(),),
        source=Source(
            hub="openai/gsm8k",
            revision="740312add88f781978c0658806c59bc2815b9866",
            config="main",
            problem=("question",),
            gold="hash",
            splits={
                "train": Split(
                    7473,
                    ("main/train-*",),
                    content="0c9e03a31ffc03af036c417c51b7509beddb0b2971cac333d85512142261c215",
                ),
                "test": Split(
                    1319,
                    ("main/test-*",),
                    content="f07d15d8df7c3b51594b109dafaf8dcdcce02b185d0fc7cb8a99565e5c247476",
                ),
            },
        ),
        defects=("1 to 2 % of the test labels are wrong or ambiguous; see gsm8k_platinum.",),
    ),
    Task(
        name="gsm8k_platinum",
        summary="the GSM8K test set with repaired labels and without ambiguous questions",
        licence="MIT",
        conventions=Conventions(units="problem"),  # golds are plain numbers
        earlier=(Conventions(),),
        source=Source(
            hub="madrylab/gsm8k-platinum",
            config="main",
            problem=("question",),
            gold="hash",
            splits={"test": Split(1209, ("main/test-*",))},
        ),
        defects=("It shares its questions with gsm8k: the two are not independent evidence.",),
    ),
    Task(
        name="gsm8k_r1",
        summary="GSM8K training problems with ready-made DeepSeek-R1 traces; training only",
        licence="not read",
        source=Source(
            hub="camel-ai/gsm8k_distilled",
            answer="groud_truth_solution",
            gold="final",
            solution="reasoning_solution",
            splits={"train": Split(None, ANY_FILE)},
        ),
        defects=(
            "A solution is the whole trace: <think>...</think>, then a short solution with a box.",
            "boxed_answer_success says which traces end at the right answer; about 7,460 rows.",
            "Traces are long: half have more than 900 tokens, a tenth more than 1,900.",
        ),
        max_new_tokens=2048,
    ),
    Task(
        name="gsm_plus",
        summary="GSM8K test problems changed in eight ways (the testmini split)",
        licence="CC BY-SA 4.0",
        # golds are rounded to two decimals
        conventions=Conventions(absolute=0.005, units="problem"),
        earlier=(Conventions(absolute=0.005),),
        source=Source(
            hub="qintongli/GSM-Plus",
            revision="3b708db57b96a16e8e3368ed2956990c0809440e",
            problem=("question",),
            solution="solution",
            group=("seed_question", "seed_problem"),
            groups=300,
            splits={
                "test": Split(
                    2400,
                    ("data/testmini-*",),
                    ("gsm_plus_testmini",),
                    content="ceef13203e21d139b9e12d2715f3af43caa6a884ad6c6ab0a889c4ecf6907632",
                )
            },
        ),
        defects=(
            "300 rows cannot be answered: their gold answer is None, and only an answer that says"
            " None is right.",
            "It has 300 seed problems in eight variants: rows of one seed form a group.",
        ),
    ),
    Task(
        name="gsm_hard",
        summary="GSM8K test problems with one number made very large",
        licence="MIT; Apache-2.0 in the repository of its authors",
        # the tolerance of its authors' own evaluation; they use it on asdiv and mawps too
        conventions=Conventions(absolute=0.001, units="problem"),
        earlier=(Conventions(absolute=0.001),),
        source=Source(
            hub="reasoning-machines/gsm-hard",
            revision="960448f73503112d4226baeb8eb41d3fb5ae2506",
            problem=("input",),
            answer="target",
            tidy="number",
            splits={
                "test": Split(
                    1319,
                    ("gsmhardv2.jsonl",),
                    content="611fe8f7782bfecd8717b4fba7a66878694e4668af138bc65ee8c997f692d68b",
                )
            },
        ),
        defects=(
            "Golds are the output of programs: 146 are negative and 303 no whole numbers, which"
            " many of the questions cannot mean.",
            "It measures arithmetic on large numbers more than reasoning.",
            "31 golds are smaller than the tolerance of 0.001, so that 0 is right.",
        ),
    ),
    Task(
        name="gsm_symbolic",
        summary="100 GSM8K problems as templates, 50 instances each (configuration main)",
        licence="CC BY-NC-ND 4.0",
        conventions=Conventions(units="problem"),  # golds are plain numbers
        earlier=(Conventions(),),
        source=Source(
            hub="apple/GSM-Symbolic",
            revision="93b5b3758d9d9841ffe81d6cd2ae2b030685b078",
            config="main",
            problem=("question",),
            gold="hash",
            group=("id",),
            groups=100,
            splits={"test": Split(5000, ("main/test.jsonl",))},
        ),
        defects=("It has 100 questions in 5,000 wordings: rows of one template form a group.",),
    ),
    Task(
        name="mgsm",
        summary="250 GSM8K test problems in eleven languages, translated by people",
        licence="CC BY-SA 4.0",
        source=Source(
            hub="juletxara/mgsm",
            revision="b2f13d426afe3be8d69a7e739b36724db8b66bbc",
            config="one for each language",
            problem=("question",),
            answer="answer_number",
            group=("_line",),
            groups=250,
            columns=("question", "answer_number"),
            splits={"test": Split(2750, tuple(f"mgsm_{code}.tsv" for code in MGSM_LANGUAGES))},
        ),
        defects=("It has 250 questions in eleven languages: rows of one question form a group.",),
    ),
    Task(
        name="svamp",
        summary="one-step word problems with distracting numbers",
        licence="MIT",
        source=Source(
            hub="ChilleD/SVAMP",
            revision="5e0bf1e5e7c0e9c4bc39180d224f41f3f801b7ef",
            problem=("Body", "Question"),
            answer="Answer",
            tidy="number",
            splits={
                "test": Split(
                    1000,
                    ("data/*.parquet",),
                    content="5f99e1518bb44644b9dd364133de5fe032e8a94c294390fcce1384bf92e25132",
                )
            },
        ),
        defects=("The body of many problems has no full stop at its end; it is left so.",),
    ),
    Task(
        name="asdiv",
        summary="word problems of grades 1 to 6: the 2,215 with a single answer",
        licence="CC BY-NC 4.0",
        conventions=Conventions(absolute=0.001),
        source=Source(
            hub="EleutherAI/asdiv",
            revision="8f95807222d87b4c688c3c22a6ba2801e1fa03e2",
            problem=("body", "question"),
            tidy="unit",
            keep=_one_answer,
            splits={
                "test": Split(
                    2215,
                    ("asdiv/validation-*",),
                    content="612e24e9ad126c2c74875fed96af5a9045bf6f67a7f8a6d7631177aa94488aa8",
                )
            },
        ),
        defects=(
            "180 answers are no plain numbers: times, ratios, names, yes or no.",
            "One problem appears twice.",
        ),
    ),
    Task(
        name="mawps",
        summary="one- and two-step word problems: AddSub, MultiArith, SingleEq and SingleOp",
        licence="not stated",
        conventions=Conventions(absolute=0.001),
        source=Source(
            tidy="number",
            splits={
                "test": Split(
                    2065,
                    local=("mawps_addsub", "mawps_multiarith", "mawps_singleeq", "mawps_singleop"),
                    content="6cdcc3ea08f902874fe74bb8878678dbe7d0237637587eac9b9ac62ba5f95ad2",
                )
            },
        ),
        defects=(
            "No repository of the Hub was found that holds these four parts: local files only.",
            "Problems appear several times, within a part and in two parts.",
        ),
    ),
    Task(
        name="math",
        summary="competition problems of seven subjects and five levels (Hendrycks MATH)",
        licence="MIT; the right to the problem texts is disputed by Art of Problem Solving",
        source=Source(
            hub="EleutherAI/hendrycks_math",
            revision="21a5633873b6a120296cce3e2df9d5550074f4a3",
            config="one for each subject",
            answer="solution",
            gold="boxed",
            splits={
                "train": Split(
                    7500,
                    ("*/train-*",),
                    content="becd989e8d1b6b31b59e37b97826f096f5f3e6b7ca247a74a614b8a7a25cd69a",
                ),
                "test": Split(
                    5000,
                    ("*/test-*",),
                    content="f2a8a5d08a4bf2f6f70daad67ebdd57ac5204e12a0ccc535fe360e7697e38701",
                ),
            },
        ),
        defects=(
            "One problem is in both the training and the test split.",
            "Two training rows have no gold answer; they are left out.",
            "204 solutions have several boxes; the last one counts.",
        ),
        max_new_tokens=1024,
    ),
    Task(
        name="math500",
        summary="500 problems of the MATH test split",
        licence="MIT (split by openai/prm800k)",
        source=Source(
            hub="HuggingFaceH4/MATH-500",
            revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
            solution="solution",
            splits={
                "test": Split(
                    500,
                    ("test.jsonl",),
                    content="327f81589c7585eca71c17c956bd9b3c8b9d66bf35c2e1f0951a7e84ab509feb",
                )
            },
        ),
        defects=("It is part of math: the two are not independent evidence.",),
        max_new_tokens=1024,
    ),
    Task(
        name="minerva_ocw",
        summary="undergraduate science and mathematics from MIT OpenCourseWare",
        licence="not read; the courses are under CC BY-NC-SA 4.0",
        conventions=Conventions(relative=0.01, units="problem"),
        earlier=(Conventions(relative=0.01),),
        source=Source(
            hub="math-ai/minervamath",
            revision="ee46ddc498933b1977577953250ca5c66be64f96",
            problem=("question",),
            splits={
                "test": Split(
                    272,
                    ("test.jsonl",),
                    ("minerva_math",),
                    content="407ce6af14da2f625ecbcf68fc4ad0920291ff519a0de26e0ac98e22de17c80e",
                )
            },
        ),
        defects=(
            "lm-eval's minerva_math is another benchmark: MATH under Minerva's prompt.",
            "Many answers are rounded or have units that the gold leaves out.",
        ),
        max_new_tokens=1024,
    ),
    Task(
        name="olympiadbench",
        summary="olympiad problems in English without images, final answer asked for",
        licence="MIT (repository of its authors)",
        source=Source(
            hub="zwhe99/simplerl-OlympiadBench",
            problem=("question",),
            answer="final_answer",
            gold="list",
            solution="solution",
            splits={
                "test": Split(
                    675,
                    ("*test*",),
                    ("olympiadbench_math_en",),
                    content="e6011b3549bb747733a3cac8d4d4f1ae0ae32589e91aef044a5ac1b7f2ab1f0f",
                )
            },
        ),
        defects=(
            "The paper counts 674 problems, this copy has 675.",
            "94 rows have several answers, joined by commas; they may come in any order.",
            "One row states a tolerance of 0.1 that is not applied.",
        ),
        max_new_tokens=1024,
    ),
    Task(
        name="college_math",
        summary="exercises of nine college textbooks (MathScale)",
        licence="Creative Commons; another one for each book",
        # the tolerance of Qwen2.5-Math's evaluation, from which this copy is
        conventions=Conventions(relative=0.0001),
        source=Source(
            hub="di-zhang-fdu/College_Math_Test",  # was qq8933/College_Math_Test
            problem=("question",),
            splits={
                "test": Split(
                    2818,
                    ("college-math-test.jsonl",),
                    content="df4c690e7155c9122b4e1d4b1383bc000a1d8f267d359b60a361e966d3dc50ef",
                )
            },
        ),
        defects=(
            "Gold answers are noisy: words, several parts, formulas cut short.",
            "36 problems appear twice.",
        ),
        max_new_tokens=1024,
    ),
    Task(
        name="gaokao2023en",
        summary="Chinese college entrance examination of 2023, translated by machine",
        licence="MIT",
        source=Source(
            hub="MARIO-Math-Reasoning/Gaokao2023-Math-En",
            revision="6c7bdecd205ed623b5e6c92335deb4f13a7cdd9b",
            problem=("question",),
            splits={
                "test": Split(
                    385,
                    ("Gaokao2023-Math-En.jsonl",),
                    content="5034f372e843e38eba4c5a6a4fbbd491420a622c101466b1f40fb1e8b58d3397",
                )
            },
        ),
        defects=("Two rows have no gold answer; they are left out.",),
        max_new_tokens=1024,
    ),
    Task(
        name="amc23",
        summary="AMC 12 of 2023, asked for a number",
        licence="copyright MAA; no licence stated",
        source=Source(
            hub="math-ai/amc23",
            revision="80815d37005feb82cd7f8fbc6901d5d3eff43057",
            problem=("question",),
            tidy="number",
            splits={
                "test": Split(
                    40,
                    ("test-*",),
                    content="1558fb74384fc84dbd5dc0f33ff06271ac57fefe32442a5c311c0b00a0bc0f62",
                )
            },
        ),
        defects=("The problems were rewritten to ask for a number.",),
        unfit="40 questions are too few",
        max_new_tokens=2048,
    ),
    Task(
        name="aime24",
        summary="AIME I and II of 2024",
        licence="copyright MAA; no licence stated",
        source=Source(
            hub="math-ai/aime24",
            revision="83a7f387baaa524a8bda0022eac0541582297103",
            answer="solution",
            gold="boxed",
            tidy="number",
            lm_eval={"Problem": "problem", "Answer": "answer"},
            splits={
                "test": Split(
                    30,
                    ("test-*",),
                    content="f98e765bcf3ae9ece2635e87a60d75af5327528ae44e9ad479564059ddb287f8",
                )
            },
        ),
        unfit="30 questions are too few, and models of 0.5B parameters solve none",
        max_new_tokens=4096,
    ),
    Task(
        name="aime25",
        summary="AIME I and II of 2025",
        licence="copyright MAA; no licence stated",
        source=Source(
            hub="math-ai/aime25",
            revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
            tidy="number",
            splits={
                "test": Split(
                    30,
                    ("test.jsonl",),
                    content="627d79d9085782007a369913e7c6f3970ff183ce78dde7e407e2ee5a6e3ad159",
                )
            },
        ),
        unfit="30 questions are too few, and models of 0.5B parameters solve none",
        max_new_tokens=4096,
    ),
)
