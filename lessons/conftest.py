# The Chinese notebooks hold the code of the English ones to the byte (tests/test_chinese.py), so
# a run over the whole folder leaves them out; one that is named is run.
collect_ignore_glob = ["zh_*.ipynb"]
