from harness.testing import check_trainer


def test_it_keeps_the_contract(tmp_path):
    check_trainer("concise", tmp_path)
