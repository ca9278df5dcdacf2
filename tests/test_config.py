"""The options: what is refused, what wins, and that none is passed over in silence."""

from dataclasses import asdict

import pytest

from minicyclegan import InputError
from minicyclegan.config import PRESETS, Config, make_config


@pytest.mark.parametrize("options, message", [
    (dict(size=30, generator="resnet"), "--size must be a multiple of 4"),
    (dict(size=36), "--size must be a multiple of 8 and at least 16 for a unet"),
    (dict(size=8), "--size must be .*at least"),
    (dict(epochs=3, steps=20), "--epochs and --steps both say how long"),
    (dict(batch=0), "--batch must be finite and at least 1, not 0"),
    (dict(lr=float("nan")), "--lr must be finite and at least 0, not nan"),
    (dict(beta1=1.5), "--beta1 must be at most 0.9999 and at least 0, not 1.5"),
    (dict(lr=float("inf")), "--lr must be finite"),
    (dict(upsample="bilinear"), "--upsample must be one of transpose, resize"),
    (dict(lambda_adversarial=0, lambda_cycle_A=0, lambda_cycle_B=0), "nothing is left to learn"),
    (dict(model="one_way", lambda_adversarial=0, lambda_cycle_A=0), "nothing is left to learn"),
])
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        Config(**options)


def test_what_somebody_names_wins_over_a_preset():
    toy = make_config()
    assert toy == Config() == Config(**PRESETS["toy"]) and (toy.steps, toy.epochs) == (800, 0)
    assert make_config(epochs=3).epochs == 3 and make_config(epochs=3).steps == 0
    assert Config(epochs=3).steps == 0
    paper = make_config("paper", steps=7, lr=1e-3)
    assert (paper.steps, paper.epochs, paper.lr, paper.size) == (7, 0, 1e-3, 256)


@pytest.mark.parametrize("named, message", [
    (dict(model="one_way", lambda_cycle_B=5), "--lambda-cycle-B has no effect with --model one"),
    (dict(model="one_way", lambda_identity=0.5), "--lambda-identity has no effect with --model"),
    (dict(upsample="transpose"), "--upsample has no effect with --generator unet"),
    (dict(lambda_adversarial=0, pool_size=9), "--pool-size has no effect with --lambda-adv"),
    (dict(lambda_adversarial=0, adversarial="log"), "--adversarial has no effect"),
    (dict(lambda_adversarial=0, lr_D=1e-4), "--lr-D has no effect"),
    (dict(lambda_adversarial=0, disc_steps=2), "--disc-steps has no effect"),
    (dict(lambda_cycle_A=0, lambda_cycle_B=0, lambda_identity=1), "--lambda-identity has no eff"),
    (dict(model="one_way", lambda_cycle_A=0, reconstruction="L2"), "--reconstruction has no eff"),
    (dict(epochs=2, steps=2), "both say how long"),
])
def test_an_option_without_effect_is_refused(named, message):
    with pytest.raises(InputError, match=message):
        make_config(**named)


def test_preset_of_the_paper():
    config = Config(**PRESETS["paper"])
    assert (config.size, round(config.size * config.zoom)) == (256, 286)
    assert config.flip and config.batch == 1
    assert (config.width, config.blocks, config.upsample) == (64, 9, "transpose")
    assert (config.disc_width, config.disc_depth) == (64, 3)
    assert (config.lr, config.beta1, config.beta2) == (2e-4, 0.5, 0.999)
    assert (config.epochs, config.flat, config.steps) == (200, 0.5, 0)
    assert config.adversarial == "least_squares" and config.reconstruction == "L1"
    assert config.lambda_cycle_A == config.lambda_cycle_B == 10 and config.pool_size == 50
    assert asdict(config)["lambda_identity"] == 0
