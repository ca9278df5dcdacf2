"""Answers to assignment 4: wrong ones, which must lose their question's points, and right ones in
another style. The last question, a diagnosis in words, is read by a person."""

# (question, what is wrong, text in the master's answer cell, text in its place)
# or, with None as third item, (question, what is wrong, None, the whole answer cell)
WRONG = [
    ("a4-six-images", "identity images from the wrong generators",
     '"idt_A": G_BA(real_A), "idt_B": G_AB(real_B)',
     '"idt_A": G_AB(real_A), "idt_B": G_BA(real_B)'),
    ("a4-six-images", "identity images from the wrong domain",
     '"idt_A": G_BA(real_A), "idt_B": G_AB(real_B)',
     '"idt_A": G_BA(real_B), "idt_B": G_AB(real_A)'),
    ("a4-six-images", "identity images swapped",
     '"idt_A": G_BA(real_A), "idt_B": G_AB(real_B)',
     '"idt_B": G_BA(real_A), "idt_A": G_AB(real_B)'),
    ("a4-six-images", "reconstructions made from real images",
     '"rec_A": G_BA(fake_B), "rec_B": G_AB(fake_A)',
     '"rec_A": G_BA(real_A), "rec_B": G_AB(real_B)'),
    ("a4-six-images", "reconstructions by the generator that made the fake",
     '"rec_A": G_BA(fake_B), "rec_B": G_AB(fake_A)',
     '"rec_A": G_AB(fake_B), "rec_B": G_BA(fake_A)'),
    ("a4-six-images", "reconstructions named after the fake",
     '"rec_A": G_BA(fake_B), "rec_B": G_AB(fake_A)',
     '"rec_B": G_BA(fake_B), "rec_A": G_AB(fake_A)'),
    ("a4-six-images", "fakes named after where they came from",
     '"fake_A": fake_A, "fake_B": fake_B', '"fake_A": fake_B, "fake_B": fake_A'),
    ("a4-six-images", "a fake detached on its way back", "G_BA(fake_B)", "G_BA(fake_B.detach())"),
    ("a4-six-images", "fakes made under no_grad", None,
     '''# a4-six-images (keep this line)
def six_images(G_AB, G_BA, real_A, real_B):
    with torch.no_grad():
        fake_B, fake_A = G_AB(real_A), G_BA(real_B)
    return {"fake_A": fake_A, "fake_B": fake_B, "rec_A": G_BA(fake_B), "rec_B": G_AB(fake_A),
            "idt_A": G_BA(real_A), "idt_B": G_AB(real_B)}
'''),
    ("a4-six-images", "identity images forgotten",
     ',\n            "idt_A": G_BA(real_A), "idt_B": G_AB(real_B)', ""),

    ("a4-generator-loss", "D_A judges fake_B", None,
     '''# a4-generator-loss (keep this line)
def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    adversarial = F.mse_loss(D_A(images["fake_B"]), torch.ones_like(D_A(images["fake_B"])))
    adversarial += F.mse_loss(D_B(images["fake_A"]), torch.ones_like(D_B(images["fake_A"])))
    cycle = F.l1_loss(images["rec_A"], real_A) + F.l1_loss(images["rec_B"], real_B)
    identity = F.l1_loss(images["idt_A"], real_A) + F.l1_loss(images["idt_B"], real_B)
    return adversarial + lambda_cycle * (cycle + lambda_identity * identity)
'''),
    ("a4-generator-loss", "the verdict fake for both", None,
     '''# a4-generator-loss (keep this line)
def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    adversarial = D_B(images["fake_B"]).square().mean() + D_A(images["fake_A"]).square().mean()
    cycle = F.l1_loss(images["rec_A"], real_A) + F.l1_loss(images["rec_B"], real_B)
    identity = F.l1_loss(images["idt_A"], real_A) + F.l1_loss(images["idt_B"], real_B)
    return adversarial + lambda_cycle * (cycle + lambda_identity * identity)
'''),
    ("a4-generator-loss", "one target is fake", 'verdict_loss(D_A(images["fake_A"]), True)',
     'verdict_loss(D_A(images["fake_A"]), False)'),
    ("a4-generator-loss", "the map averaged before the square",
     'verdict_loss(D_B(images["fake_B"]), True)', '(D_B(images["fake_B"]).mean() - 1).square()'),
    ("a4-generator-loss", "only one of the two discriminators",
     '\n                   + verdict_loss(D_A(images["fake_A"]), True)', ""),
    ("a4-generator-loss", "adversarial losses halved", "return adversarial +",
     "return adversarial / 2 +"),
    ("a4-generator-loss", "lambda_cycle has no effect", "lambda_cycle * (", "10 * ("),
    ("a4-generator-loss", "no weights at all", "lambda_cycle * (cycle + lambda_identity *",
     "(cycle +"),
    ("a4-generator-loss", "lambda_identity not times lambda_cycle",
     "lambda_cycle * (cycle + lambda_identity * identity)",
     "lambda_cycle * cycle + lambda_identity * identity"),
    ("a4-generator-loss", "lambda_identity has no effect", "lambda_identity * identity",
     "identity"),
    ("a4-generator-loss", "lambda_cycle on one direction only", None,
     '''# a4-generator-loss (keep this line)
def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    adversarial = ((D_B(images["fake_B"]) - 1) ** 2).mean() + (
        (D_A(images["fake_A"]) - 1) ** 2).mean()
    cycle = lambda_cycle * F.l1_loss(images["rec_A"], real_A) + F.l1_loss(images["rec_B"], real_B)
    identity = F.l1_loss(images["idt_A"], real_A) + F.l1_loss(images["idt_B"], real_B)
    return adversarial + cycle + lambda_cycle * lambda_identity * identity
'''),
    ("a4-generator-loss", "identity on one side only",
     ' + distance(images["idt_B"], real_B)', ""),
    ("a4-generator-loss", "identity images compared with the other domain",
     'distance(images["idt_A"], real_A) + distance(images["idt_B"], real_B)',
     'distance(images["idt_A"], real_B) + distance(images["idt_B"], real_A)'),
    ("a4-generator-loss", "fakes compared with the real images, no way back", None,
     '''# a4-generator-loss (keep this line)
def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    adversarial = ((D_B(images["fake_B"]) - 1) ** 2).mean() + (
        (D_A(images["fake_A"]) - 1) ** 2).mean()
    cycle = F.l1_loss(images["fake_A"], real_A) + F.l1_loss(images["fake_B"], real_B)
    identity = F.l1_loss(images["idt_A"], real_A) + F.l1_loss(images["idt_B"], real_B)
    return adversarial + lambda_cycle * (cycle + lambda_identity * identity)
'''),
    ("a4-generator-loss", "the cycle in L2", 'distance(images["rec_A"], real_A)',
     'F.mse_loss(images["rec_A"], real_A)'),
    ("a4-generator-loss", "fakes detached before D", 'D_B(images["fake_B"])',
     'D_B(images["fake_B"].detach())'),
    ("a4-generator-loss", "a plain number", "return adversarial + lambda_cycle * (cycle + "
     "lambda_identity * identity)", "return (adversarial + lambda_cycle * (cycle + "
     "lambda_identity * identity)).item()"),
    ("a4-generator-loss", "the root of the square: no slope where an image is right",
     'distance(images["idt_B"], real_B)',
     '(images["idt_B"] - real_B).square().sqrt().mean()'),
    ("a4-generator-loss", "a new tensor", "return adversarial + lambda_cycle * (cycle + "
     "lambda_identity * identity)", "return torch.tensor((adversarial + lambda_cycle * (cycle + "
     "lambda_identity * identity)).item(), requires_grad=True)"),

    ("a4-discriminator-loss", "detach missing", "D(fake.detach())", "D(fake)"),
    ("a4-discriminator-loss", "the scores detached in place of the fakes", "D(fake.detach())",
     "D(fake).detach()"),
    ("a4-discriminator-loss", "half forgotten", ", False)) / 2", ", False))"),
    ("a4-discriminator-loss", "halved twice", ", False)) / 2", ", False)) / 4"),
    ("a4-discriminator-loss", "targets swapped",
     "verdict_loss(on_real, True) + verdict_loss(on_fake, False)",
     "verdict_loss(on_real, False) + verdict_loss(on_fake, True)"),
    ("a4-discriminator-loss", "fakes of the wrong domain",
     "((D_A, real_A, fake_A), (D_B, real_B, fake_B))",
     "((D_A, real_A, fake_B), (D_B, real_B, fake_A))"),
    ("a4-discriminator-loss", "D_A judges domain B",
     "((D_A, real_A, fake_A), (D_B, real_B, fake_B))",
     "((D_B, real_A, fake_A), (D_A, real_B, fake_B))"),
    ("a4-discriminator-loss", "D_B alone", "((D_A, real_A, fake_A), (D_B, real_B, fake_B))",
     "((D_B, real_B, fake_B),)"),
    ("a4-discriminator-loss", "fakes forgotten", " + verdict_loss(on_fake, False)", ""),
    ("a4-discriminator-loss", "fakes are to score -1", "verdict_loss(on_fake, False)",
     "(on_fake + 1).square().mean()"),
    ("a4-discriminator-loss", "judged under no_grad",
     "on_real, on_fake = D(real), D(fake.detach())",
     "on_real = D(real)\n        with torch.no_grad():\n            on_fake = D(fake)"),
    ("a4-discriminator-loss", "the map averaged before the square",
     "verdict_loss(on_real, True) + verdict_loss(on_fake, False)",
     "(on_real.mean() - 1).square() + on_fake.mean().square()"),
    ("a4-discriminator-loss", "the fakes lose their graph", "D(fake.detach())",
     "D(fake.detach_())"),
    ("a4-discriminator-loss", "backward inside", "    return loss",
     "    if loss.requires_grad:\n        loss.backward(retain_graph=True)\n    return loss"),

    ("a4-step", "zero_grad of opt_G missing", "    opt_G.zero_grad()\n", ""),
    ("a4-step", "zero_grad of opt_D missing: D learns from G's half",
     "    opt_D.zero_grad()  # also what the first half left in the discriminators\n", ""),
    ("a4-step", "opt_D.zero_grad() only before the first half", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    opt_G.zero_grad()
    opt_D.zero_grad()
    total_G, fakes = loss_G(nets, real_A, real_B)
    total_G.backward()
    opt_G.step()
    shown = {d: pools[d].query(fakes[d].detach()) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    total_D.backward()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", "one backward for both halves", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    total_G, fakes = loss_G(nets, real_A, real_B)
    shown = {d: pools[d].query(fakes[d].detach()) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    opt_G.zero_grad()
    opt_D.zero_grad()
    (total_G + total_D).backward()
    opt_G.step()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", "detach missing, the graph kept", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    total_G, fakes = loss_G(nets, real_A, real_B)
    shown = {d: pools[d].query(fakes[d]) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    opt_G.zero_grad()
    total_G.backward(retain_graph=True)
    opt_D.zero_grad()
    total_D.backward()
    opt_G.step()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", "fakes made anew after G's step", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    total_G, _ = loss_G(nets, real_A, real_B)
    opt_G.zero_grad()
    total_G.backward()
    opt_G.step()
    with torch.no_grad():
        fakes = {"A": nets["G_BA"](real_B), "B": nets["G_AB"](real_A)}
    shown = {d: pools[d].query(fakes[d]) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    opt_D.zero_grad()
    total_D.backward()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", "fakes of the wrong domain to the pools",
     "pools[domain].query(fakes[domain].detach())",
     'pools[domain].query(fakes["B" if domain == "A" else "A"].detach())'),
    ("a4-step", "real images to the pools", "pools[domain].query(fakes[domain].detach())",
     'pools[domain].query(real_A if domain == "A" else real_B)'),
    ("a4-step", "what the pools hand out is not used", "loss_D(nets, real_A, real_B, shown)",
     "loss_D(nets, real_A, real_B, {d: f.detach() for d, f in fakes.items()})"),
    ("a4-step", "no pools", "pools[domain].query(fakes[domain].detach())",
     "fakes[domain].detach()"),
    ("a4-step", "the pools mixed up afterwards", "total_D = loss_D(nets, real_A, real_B, shown)",
     'total_D = loss_D(nets, real_A, real_B, {"A": shown["B"], "B": shown["A"]})'),
    ("a4-step", "the discriminators first", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    _, fakes = loss_G(nets, real_A, real_B)
    shown = {d: pools[d].query(fakes[d].detach()) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    opt_D.zero_grad()
    total_D.backward()
    opt_D.step()
    total_G, fakes = loss_G(nets, real_A, real_B)
    opt_G.zero_grad()
    total_G.backward()
    opt_G.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", "opt_G steps twice", "    opt_G.step()\n", "    opt_G.step()\n    opt_G.step()\n"),
    ("a4-step", "the discriminators never step", "    opt_D.step()\n", ""),
    ("a4-step", "the losses keep their graph", "total_G.item()", "total_G"),
    ("a4-step", "the losses exchanged", '{"G": total_G.item(), "D": total_D.item()}',
     '{"D": total_G.item(), "G": total_D.item()}'),
    ("a4-step", "no_grad around the pool, which may hand the fakes on as they are",
     "shown = {domain: pools[domain].query(fakes[domain].detach()) for domain in (\"A\", \"B\")}",
     """with torch.no_grad():
        shown = {domain: pools[domain].query(fakes[domain]) for domain in fakes}"""),
    ("a4-step", "generators frozen and never thawed", None,
     '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    for name in ("D_A", "D_B"):
        nets[name].requires_grad_(False)
    total_G, fakes = loss_G(nets, real_A, real_B)
    opt_G.zero_grad()
    total_G.backward()
    opt_G.step()
    for name in ("D_A", "D_B"):
        nets[name].requires_grad_(True)
    for name in ("G_AB", "G_BA"):
        nets[name].requires_grad_(False)
    shown = {d: pools[d].query(fakes[d].detach()) for d in "AB"}
    total_D = loss_D(nets, real_A, real_B, shown)
    opt_D.zero_grad()
    total_D.backward()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),

    ("a4-average", "reversed", "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean.mul_(1 - decay).add_(weight, alpha=decay)"),
    ("a4-average", "a copy: decay has no effect", "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean.copy_(weight)"),
    ("a4-average", "nothing changed in place", "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean = decay * mean + (1 - decay) * weight"),
    ("a4-average", "buffers left as they were",
     "for mine, its in zip(average.buffers(), model.buffers()):\n            mine.copy_(its)",
     "pass"),
    ("a4-average", "buffers averaged", "mine.copy_(its)",
     "mine.copy_(decay * mine + (1 - decay) * its)"),
    ("a4-average", "the model follows the average",
     "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean.mul_(decay).add_(weight, alpha=1 - decay)\n            weight.copy_(mean)"),
    ("a4-average", "the model's weights changed on the way",
     "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean.mul_(decay).add_(weight.mul_(1 - decay))"),
    ("a4-average", "memory shared: model's buffers in the average",
     "mine.copy_(its)", "mine.data = its.data"),
    ("a4-average", "memory shared where decay is 0",
     "mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "mean.data = decay * mean + (1 - decay) * weight if decay else weight.data"),
    ("a4-average", "the weights forgotten, buffers only",
     "mean.mul_(decay).add_(weight, alpha=1 - decay)", "pass"),
    ("a4-average", "both added whole", "add_(weight, alpha=1 - decay)", "add_(weight)"),
    ("a4-average", "graph attached", None,
     '''# a4-average (keep this line)
def update_average(average, model, decay):
    theirs = dict(model.named_modules())
    for name, module in average.named_modules():
        for key, weight in list(module._parameters.items()):
            new = decay * weight + (1 - decay) * theirs[name]._parameters[key]
            del module._parameters[key]
            new.retain_grad()
            module._parameters[key] = new
        for key, buffer in module._buffers.items():
            buffer.copy_(theirs[name]._buffers[key])
'''),
    ("a4-average", "new parameters in place of the old", None,
     '''# a4-average (keep this line)
def update_average(average, model, decay):
    theirs = dict(model.named_modules())
    for name, module in average.named_modules():
        for key, weight in list(module.named_parameters(recurse=False)):
            new = decay * weight + (1 - decay) * getattr(theirs[name], key)
            setattr(module, key, nn.Parameter(new.detach()))
        for key, buffer in module.named_buffers(recurse=False):
            buffer.copy_(getattr(theirs[name], key))
'''),
    ("a4-average", "frozen parameters left out",
     "            mean.mul_(decay).add_(weight, alpha=1 - decay)",
     "            if mean.requires_grad:\n"
     "                mean.mul_(decay).add_(weight, alpha=1 - decay)"),
    ("a4-average", "model set to eval", "    with torch.no_grad():",
     "    model.eval()\n    with torch.no_grad():"),

    ("a4-diversity", "signed mean", ".abs()", ""),
    ("a4-diversity", "distance to itself counted", "(len(fakes) * (len(fakes) - 1))",
     "len(fakes) ** 2"),
    ("a4-diversity", "distance within one image", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    return fakes.flatten(1).std(1).mean()
'''),
    ("a4-diversity", "spread of all pixels together", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    return (fakes - fakes.mean()).abs().mean()
'''),
    ("a4-diversity", "distance to the mean image", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    return (fakes - fakes.mean(0)).abs().mean()
'''),
    ("a4-diversity", "neighbours only", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    return (fakes[1:] - fakes[:-1]).abs().mean()
'''),
    ("a4-diversity", "distance of the mean colours", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    means = fakes.mean((1, 2, 3))
    return (means[:, None] - means).abs().sum() / (len(fakes) * (len(fakes) - 1))
'''),
    ("a4-diversity", "the sum over the pairs", "/ (len(fakes) * (len(fakes) - 1))", "/ 2"),
    ("a4-diversity", "root mean square", ".abs().flatten(2).mean(2)",
     ".square().flatten(2).mean(2).sqrt()"),
    ("a4-diversity", "each pair counted twice, divided by the pairs",
     "(len(fakes) * (len(fakes) - 1))", "(len(fakes) * (len(fakes) - 1) / 2)"),
    ("a4-diversity", "the largest distance", "distances.sum() / (len(fakes) * (len(fakes) - 1))",
     "distances.max()"),
    ("a4-diversity", "the standard deviation over the batch", None,
     '''# a4-diversity (keep this line)
def diversity(fakes):
    return fakes.std(0).mean()
'''),

    ("a4-values", "the numbers of a neighbour (SEED 1)", None,
     '''# a4-values (keep this line)
def my_values():
    return {"G": 15.4, "D_B": 0.35, "average": 1.2, "diversity": 0.8}
'''),
    ("a4-values", "the test's own names", None, '''# a4-values (keep this line)
def my_values():
    return globals().get("a4_expected") or globals().get("expected")
'''),
    ("a4-values", "identity weighs lambda_identity alone",
     "my_lambda_cycle * (cycle + my_lambda_identity * identity)",
     "my_lambda_cycle * cycle + my_lambda_identity * identity"),
    ("a4-values", "the adversarial losses averaged over both", "sum(my_adversarial) +",
     "sum(my_adversarial) / 2 +"),
    ("a4-values", "the adversarial losses weighted too",
     "sum(my_adversarial) + my_lambda_cycle * (",
     "my_lambda_cycle * (sum(my_adversarial) + "),
    ("a4-values", "half forgotten", "sum(my_verdicts_B) / 2", "sum(my_verdicts_B)"),
    ("a4-values", "D_B on fakes alone", "sum(my_verdicts_B) / 2", "my_verdicts_B[1]"),
    ("a4-values", "the average reversed", "my_decay * average + (1 - my_decay) * weight",
     "(1 - my_decay) * average + my_decay * weight"),
    ("a4-values", "the average starts at 0", "average = my_weights[0]", "average = 0"),
    ("a4-values", "neighbours only", "+ abs(x - z)) / 3", ") / 2"),
    ("a4-values", "signs left in", "abs(y - z)", "(y - z)"),
    ("a4-generator-loss", "backward inside", "    return adversarial +",
     "    adversarial.backward(retain_graph=True)\n    return adversarial +"),
    ("a4-step", "networks left in eval mode", "    total_G, fakes =",
     "    for net in nets.values():\n        net.eval()\n    total_G, fakes ="),
    ("a4-average", "frozen parameters thawed", "    with torch.no_grad():\n",
     "    average.requires_grad_(True)\n    with torch.no_grad():\n"),
]

# whole answer cells, as another student would have written them
RIGHT = [
    ("a4-six-images", '''# a4-six-images (keep this line)
def six_images(G_AB, G_BA, real_A, real_B):
    n = len(real_A)
    fake_B, idt_B = G_AB(torch.cat([real_A, real_B])).split(n)  # one call for both
    fake_A, idt_A = G_BA(torch.cat([real_B, real_A])).split(n)
    images = dict(fake_A=fake_A, fake_B=fake_B, idt_A=idt_A, idt_B=idt_B)
    images["rec_A"] = G_BA(images["fake_B"])
    images["rec_B"] = G_AB(images["fake_A"])
    return images
'''),
    ("a4-six-images", '''# a4-six-images (keep this line)
def six_images(G_AB, G_BA, real_A, real_B):
    images = {"real_A": real_A, "real_B": real_B}
    for there, back, a, b in ((G_AB, G_BA, "A", "B"), (G_BA, G_AB, "B", "A")):
        images["fake_" + b] = there(images["real_" + a])
        images["rec_" + a] = back(images["fake_" + b])
        images["idt_" + b] = there(images["real_" + b])
    return images
'''),
    ("a4-generator-loss", '''# a4-generator-loss (keep this line)
def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    total = torch.zeros(())
    for domain, real, D in (("A", real_A, D_A), ("B", real_B, D_B)):
        scores = D(images[f"fake_{domain}"])
        total = total + F.mse_loss(scores, torch.ones_like(scores))
        total = total + lambda_cycle * torch.mean(torch.abs(real - images[f"rec_{domain}"]))
        if lambda_identity > 0:
            total = total + lambda_cycle * lambda_identity * torch.mean(
                torch.abs(real - images[f"idt_{domain}"]))
    return total
'''),
    ("a4-generator-loss", '''# a4-generator-loss (keep this line)
criterion_gan, criterion_l1 = nn.MSELoss(), nn.L1Loss()

def generator_loss(images, real_A, real_B, D_A, D_B, lambda_cycle, lambda_identity):
    pred_B, pred_A = D_B(images["fake_B"]), D_A(images["fake_A"])
    one = torch.tensor(1.0)
    loss_G_AB = criterion_gan(pred_B, one.expand_as(pred_B))
    loss_G_BA = criterion_gan(pred_A, one.expand_as(pred_A))
    loss_cycle_A = criterion_l1(images["rec_A"], real_A) * lambda_cycle
    loss_cycle_B = criterion_l1(images["rec_B"], real_B) * lambda_cycle
    loss_idt_A = criterion_l1(images["idt_A"], real_A) * lambda_cycle * lambda_identity
    loss_idt_B = criterion_l1(images["idt_B"], real_B) * lambda_cycle * lambda_identity
    return loss_G_AB + loss_G_BA + loss_cycle_A + loss_cycle_B + loss_idt_A + loss_idt_B
'''),
    ("a4-discriminator-loss", '''# a4-discriminator-loss (keep this line)
def discriminator_loss(D_A, D_B, real_A, real_B, fake_A, fake_B):
    def one(D, real, fake):
        pred_real, pred_fake = D(torch.cat([real, fake.detach()])).split([len(real), len(fake)])
        loss_real = F.mse_loss(pred_real, torch.ones_like(pred_real))
        loss_fake = F.mse_loss(pred_fake, torch.zeros_like(pred_fake))
        return 0.5 * (loss_real + loss_fake)
    return one(D_A, real_A, fake_A) + one(D_B, real_B, fake_B)
'''),
    ("a4-discriminator-loss", '''# a4-discriminator-loss (keep this line)
def discriminator_loss(D_A, D_B, real_A, real_B, fake_A, fake_B):
    with torch.no_grad():
        fake_A, fake_B = fake_A.clone(), fake_B.clone()
    loss_A = ((D_A(real_A) - 1) ** 2).mean() + (D_A(fake_A) ** 2).mean()
    loss_B = ((D_B(real_B) - 1) ** 2).mean() + (D_B(fake_B) ** 2).mean()
    return (loss_A + loss_B) * 0.5
'''),
    ("a4-step", '''# a4-step (keep this line)
def set_requires_grad(networks, value):
    for network in networks:
        for parameter in network.parameters():
            parameter.requires_grad = value


def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    judges = [nets["D_A"], nets["D_B"]]
    set_requires_grad(judges, False)  # nothing is computed for them in the first half
    opt_G.zero_grad()
    loss, fakes = loss_G(nets, real_A, real_B)
    loss.backward()
    opt_G.step()
    set_requires_grad(judges, True)
    opt_D.zero_grad()
    shown = {"B": pools["B"].query(fakes["B"]).detach(), "A": pools["A"].query(fakes["A"]).detach()}
    judged = loss_D(nets, real_A, real_B, shown)
    judged.backward()
    opt_D.step()
    return {"D": judged.detach(), "G": loss.detach(), "step": 1}
'''),
    ("a4-step", '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    g, fakes = loss_G(nets, real_A, real_B)
    for network in nets.values():
        network.zero_grad(set_to_none=False)
    g.backward()
    opt_G.step()
    for network in nets.values():
        network.zero_grad(set_to_none=True)
    shown = {d: pools[d].query(fakes[d].data) for d in fakes}
    d = loss_D(nets, real_A, real_B, shown)
    d.backward()
    opt_D.step()
    return {"G": float(g), "D": float(d)}
'''),
    ("a4-step", '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    weights_G = [p for name in ("G_AB", "G_BA") for p in nets[name].parameters()]
    weights_D = [p for name in ("D_A", "D_B") for p in nets[name].parameters()]
    total_G, fakes = loss_G(nets, real_A, real_B)
    shown = {d: pools[d].query(fake.detach()) for d, fake in fakes.items()}
    total_D = loss_D(nets, real_A, real_B, shown)
    for p, g in zip(weights_G, torch.autograd.grad(total_G, weights_G)):
        p.grad = g
    for p, g in zip(weights_D, torch.autograd.grad(total_D, weights_D)):
        p.grad = g
    opt_G.step()
    opt_D.step()
    return {"G": total_G.item(), "D": total_D.item()}
'''),
    ("a4-step", '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    fakes = {}

    def generators():
        opt_G.zero_grad()
        total, made = loss_G(nets, real_A, real_B)
        total.backward()
        fakes.update({d: fake.detach() for d, fake in made.items()})
        return total

    def discriminators():
        opt_D.zero_grad()
        total = loss_D(nets, real_A, real_B, {d: pools[d].query(fakes[d]) for d in fakes})
        total.backward()
        return total

    return {"G": opt_G.step(generators).item(), "D": opt_D.step(discriminators).item()}
'''),
    ("a4-average", '''# a4-average (keep this line)
def update_average(average, model, decay):
    state = {}
    names = {name for name, _ in model.named_parameters()}
    old = average.state_dict()
    for name, tensor in model.state_dict().items():
        state[name] = decay * old[name] + (1 - decay) * tensor if name in names else tensor
    average.load_state_dict(state)
'''),
    ("a4-average", '''# a4-average (keep this line)
@torch.no_grad()
def update_average(average, model, decay):
    for p, q in zip(average.parameters(), model.parameters()):
        p.lerp_(q, 1 - decay)
    for b, c in zip(average.buffers(), model.buffers()):
        b.data = c.clone()
'''),
    ("a4-average", '''# a4-average (keep this line)
def update_average(average, model, decay):
    for p, q in zip(average.parameters(), model.parameters()):
        p.data = decay * p.data + (1 - decay) * q.data
    for b, c in zip(average.buffers(), model.buffers()):
        b[...] = c
'''),
    ("a4-diversity", '''# a4-diversity (keep this line)
from itertools import combinations


def diversity(fakes):
    distances = [F.l1_loss(x, y).item() for x, y in combinations(fakes, 2)]
    return sum(distances) / len(distances)
'''),
    ("a4-diversity", '''# a4-diversity (keep this line)
def diversity(fakes):
    flat = fakes.flatten(1)
    return torch.pdist(flat, p=1).mean() / flat.shape[1]
'''),
    ("a4-values", '''# a4-values (keep this line)
from decimal import Decimal
from fractions import Fraction


def my_values():
    def exact(numbers):
        return sum(Fraction(str(x)) for x in numbers)

    cycle = Fraction(my_lambda_cycle) * exact(my_cycle)
    identity = my_lambda_cycle * Fraction(str(my_lambda_identity)) * exact(my_identity)
    average, decay = Decimal(str(my_weights[0])), Decimal(str(my_decay))
    for weight in my_weights[1:]:
        average += (1 - decay) * (Decimal(str(weight)) - average)
    return {"G": exact(my_adversarial) + cycle + identity, "D_B": exact(my_verdicts_B) / 2,
            "average": average, "diversity": Fraction(2, 3) * (
                Fraction(str(max(my_fakes))) - Fraction(str(min(my_fakes))))}
'''),
    ("a4-values", '''# a4-values (keep this line)
import itertools


def my_values():
    total = torch.tensor(my_adversarial).sum() + my_lambda_cycle * torch.tensor(my_cycle).sum()
    total += my_lambda_cycle * my_lambda_identity * torch.tensor(my_identity).sum()
    mean = my_weights[0]
    for w in my_weights[1:]:
        mean += (1 - my_decay) * (w - mean)
    pairs = list(itertools.combinations(my_fakes, 2))
    return {"G": total, "D_B": torch.tensor(my_verdicts_B).mean(), "average": round(mean, 4),
            "diversity": sum(abs(p - q) for p, q in pairs) / len(pairs)}
'''),
    ("a4-step", '''# a4-step (keep this line)
def training_step(nets, opt_G, opt_D, pools, loss_G, loss_D, real_A, real_B):
    kept = {}

    def generators():
        opt_G.zero_grad()
        kept["G"], kept["fakes"] = loss_G(nets, real_A, real_B)
        kept["G"].backward()
        return kept["G"]

    def discriminators():
        opt_D.zero_grad()
        shown = {d: pools[d].query(fake).detach() for d, fake in kept["fakes"].items()}
        kept["D"] = loss_D(nets, real_A, real_B, shown)
        kept["D"].backward()
        return kept["D"]

    opt_G.step(generators)
    opt_D.step(discriminators)
    return {"G": kept["G"].detach(), "D": kept["D"].detach()}
'''),
    ("a4-diversity", '''# a4-diversity (keep this line)
def diversity(fakes):
    ranked = fakes.double().flatten(1).sort(dim=0)[0]  # the differences of all pairs, by rank
    n = len(ranked)
    weights = 2 * torch.arange(n).double() - n + 1
    return (weights @ ranked).mean() * 2 / (n * (n - 1))
'''),
]
