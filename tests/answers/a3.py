"""Answers to assignment 3: wrong ones, which must lose their question's points, and right ones in
another style."""

# (question, what is wrong, text in the master's answer cell, text in its place)
# or, with None as third item, (question, what is wrong, None, the whole answer cell)
WRONG = [
    ("a3-reconstruction", "the sum in place of the mean", "(rec - real).abs().mean()",
     "(rec - real).abs().sum()"),
    ("a3-reconstruction", "L2 where L1 is asked for", "(rec - real).abs().mean()",
     "(rec - real).square().mean()"),
    ("a3-reconstruction", "the two kinds exchanged", None,
     '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    if kind not in ("L1", "L2"):
        raise ValueError(kind)
    return F.mse_loss(rec, real) if kind == "L1" else F.l1_loss(rec, real)
'''),
    ("a3-reconstruction", "kind has no effect", None,
     '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    if kind not in ("L1", "L2"):
        raise ValueError(kind)
    return F.l1_loss(rec, real)
'''),
    ("a3-reconstruction", "square root of the mean square", "(rec - real).square().mean()",
     "(rec - real).square().mean().sqrt()"),
    ("a3-reconstruction", "no absolute value", "(rec - real).abs().mean()",
     "(rec - real).mean().abs()"),
    ("a3-reconstruction", "a number without gradient", "(rec - real).abs().mean()",
     "(rec - real).abs().mean().detach()"),
    ("a3-reconstruction", "an unknown kind is L2", 'if kind == "L2":', "if True:"),
    ("a3-reconstruction", "L2 by default", 'kind="L1"):', 'kind="L2"):'),
    ("a3-reconstruction", "summed over each image, averaged over the batch",
     "(rec - real).abs().mean()",
     "(rec - real).abs().reshape(len(rec), -1).sum(1).mean()"),
    ("a3-reconstruction", "divided by the batch alone", "(rec - real).square().mean()",
     "(rec - real).square().sum() / (rec.shape[0] * (rec[0].numel() if rec.dim() < 2 else 1))"),
    ("a3-reconstruction", "gradient to real only", "(rec - real).abs().mean()",
     "(rec.detach() - real).abs().mean()"),
    ("a3-reconstruction", "the root of the square: no slope where rec is right",
     "(rec - real).abs().mean()", "(rec - real).square().sqrt().mean()"),
    ("a3-reconstruction", "a new tensor", "(rec - real).abs().mean()",
     "torch.tensor((rec - real).abs().mean().item(), requires_grad=True)"),
    ("a3-reconstruction", "upper and lower case alike", 'kind == "L1"', 'kind in ("L1", "l1")'),
    ("a3-reconstruction", "blanks ignored", 'kind == "L2"', 'str(kind).strip() == "L2"'),
    ("a3-reconstruction", "the last letter decides", 'kind == "L1"', 'str(kind)[-1:] == "1"'),
    ("a3-reconstruction", "no kind is L1", 'kind == "L1"', 'not kind or kind == "L1"'),
    ("a3-reconstruction", "a KeyError", None,
     '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    return {"L1": F.l1_loss, "L2": F.mse_loss}[kind](rec, real)
'''),

    ("a3-least-squares", "the test's own names", None,
     '''# a3-least-squares (keep this line)
def adversarial_loss(scores, is_real):
    return scores.sum() * 0 + a3_expected
'''),
    ("a3-least-squares", "targets swapped", "1.0 if is_real else 0.0", "0.0 if is_real else 1.0"),
    ("a3-least-squares", "the map averaged before the square",
     "F.mse_loss(scores, target)", "(scores.mean() - target.mean()) ** 2"),
    ("a3-least-squares", "each map averaged before the square",
     "F.mse_loss(scores, target)",
     "(scores.mean((1, 2, 3)) - target.mean((1, 2, 3))).square().mean()"),
    ("a3-least-squares", "a sigmoid in front", "F.mse_loss(scores", "F.mse_loss(scores.sigmoid()"),
    ("a3-least-squares", "the log loss", "F.mse_loss(",
     "F.binary_cross_entropy_with_logits("),
    ("a3-least-squares", "the sum in place of the mean", "F.mse_loss(scores, target)",
     'F.mse_loss(scores, target, reduction="sum")'),
    ("a3-least-squares", "halved", "F.mse_loss(scores, target)", "F.mse_loss(scores, target) / 2"),
    ("a3-least-squares", "is_real has no effect", "1.0 if is_real else 0.0", "1.0"),
    ("a3-least-squares", "targets 1 and -1", "1.0 if is_real else 0.0",
     "1.0 if is_real else -1.0"),
    ("a3-least-squares", "absolute value in place of the square", "F.mse_loss(", "F.l1_loss("),
    ("a3-least-squares", "divided by the batch alone", "F.mse_loss(scores, target)",
     "(scores - target).square().sum() / len(scores)"),
    ("a3-least-squares", "the size of the map hard-coded", "F.mse_loss(scores, target)",
     "(scores - target).square().sum() / len(scores) / 4"),
    ("a3-least-squares", "scores detached", "F.mse_loss(scores,", "F.mse_loss(scores.detach(),"),
    ("a3-least-squares", "a new tensor", "F.mse_loss(scores, target)",
     "F.mse_loss(torch.tensor(scores.tolist(), requires_grad=True), target)"),

    ("a3-cycle", "the fake of A→B→A detached: that direction trains G_BA alone",
     "G_BA(G_AB(real_A))", "G_BA(G_AB(real_A).detach())"),
    ("a3-cycle", "the fake of B→A→B detached", "G_AB(G_BA(real_B))",
     "G_AB(G_BA(real_B).detach())"),
    ("a3-cycle", "the fakes made under no_grad", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    with torch.no_grad():
        fake_B, fake_A = G_AB(real_A), G_BA(real_B)
    return F.l1_loss(G_BA(fake_B), real_A) + F.l1_loss(G_AB(fake_A), real_B)
'''),
    ("a3-cycle", "the reconstructions detached", "return F.l1_loss(rec_A, real_A)",
     "return F.l1_loss(rec_A.detach(), real_A)"),
    ("a3-cycle", "the orders swapped", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    rec_A, rec_B = G_AB(G_BA(real_A)), G_BA(G_AB(real_B))
    return F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)
'''),
    ("a3-cycle", "G_AB twice, G_BA twice", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    rec_A, rec_B = G_AB(G_AB(real_A)), G_BA(G_BA(real_B))
    return F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)
'''),
    ("a3-cycle", "G_AB twice in one direction", "G_BA(G_AB(real_A))", "G_AB(G_AB(real_A))"),
    ("a3-cycle", "the fake compared with the image it was made from", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    return F.l1_loss(G_AB(real_A), real_A) + F.l1_loss(G_BA(real_B), real_B)
'''),
    ("a3-cycle", "the fake compared with a real image of its domain", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    return F.l1_loss(G_AB(real_A), real_B) + F.l1_loss(G_BA(real_B), real_A)
'''),
    ("a3-cycle", "only A→B→A", " + F.l1_loss(rec_B, real_B)", ""),
    ("a3-cycle", "only B→A→B", "F.l1_loss(rec_A, real_A) + ", ""),
    ("a3-cycle", "the mean of the two directions",
     "F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)",
     "(F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)) / 2"),
    ("a3-cycle", "lambda in it already", "F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)",
     "10 * (F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B))"),
    ("a3-cycle", "L2", "F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B)",
     "F.mse_loss(rec_A, real_A) + F.mse_loss(rec_B, real_B)"),
    ("a3-cycle", "one mean over both batches", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    rec = torch.cat([G_BA(G_AB(real_A)), G_AB(G_BA(real_B))])
    return 2 * F.l1_loss(rec, torch.cat([real_A, real_B]))
'''),
    ("a3-cycle", "the root of the square", "return F.l1_loss(rec_A, real_A)",
     "return (rec_A - real_A).square().sqrt().mean()"),
    ("a3-cycle", "backward inside", None,
     '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    loss = F.l1_loss(G_BA(G_AB(real_A)), real_A) + F.l1_loss(G_AB(G_BA(real_B)), real_B)
    loss.backward(retain_graph=True)
    return loss
'''),

    ("a3-identity", "fed from the wrong domain, compared with what went in", None,
     '''# a3-identity (keep this line)
def identity_loss(G_AB, G_BA, real_A, real_B):
    return F.l1_loss(G_AB(real_A), real_A) + F.l1_loss(G_BA(real_B), real_B)
'''),
    ("a3-identity", "fed from the wrong domain, compared with the right one", None,
     '''# a3-identity (keep this line)
def identity_loss(G_AB, G_BA, real_A, real_B):
    return F.l1_loss(G_AB(real_A), real_B) + F.l1_loss(G_BA(real_B), real_A)
'''),
    ("a3-identity", "compared with the wrong image", "F.l1_loss(idt_B, real_B)",
     "F.l1_loss(idt_B, real_A)"),
    ("a3-identity", "G_BA judged on images of B", "G_BA(real_A)", "G_BA(real_B)"),
    ("a3-identity", "only G_AB", " + F.l1_loss(idt_A, real_A)", ""),
    ("a3-identity", "G_AB for both", "G_BA(real_A)", "G_AB(real_A)"),
    ("a3-identity", "halved", "F.l1_loss(idt_B, real_B) + F.l1_loss(idt_A, real_A)",
     "(F.l1_loss(idt_B, real_B) + F.l1_loss(idt_A, real_A)) / 2"),
    ("a3-identity", "L2", "F.l1_loss(idt_B, real_B) + F.l1_loss(idt_A, real_A)",
     "F.mse_loss(idt_B, real_B) + F.mse_loss(idt_A, real_A)"),
    ("a3-identity", "the reconstruction in place of the identity image", "idt_B = G_AB(real_B)",
     "idt_B = G_AB(G_BA(real_B))"),
    ("a3-identity", "no gradient", "F.l1_loss(idt_B, real_B) +",
     "F.l1_loss(idt_B.detach(), real_B) +"),
    ("a3-identity", "the root of the square", "F.l1_loss(idt_B, real_B) +",
     "(idt_B - real_B).square().sqrt().mean() +"),
    ("a3-identity", "writes into the images it is given", "F.l1_loss(idt_B, real_B) +",
     "real_B.sub_(idt_B).abs().mean() +"),

    ("a3-pool", "no pool: hands back what comes in", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size = size

    def query(self, fakes):
        return fakes.detach().clone()
'''),
    ("a3-pool", "stores a view of the batch", "self.images.append(fake.clone())",
     "self.images.append(fake)"),
    ("a3-pool", "hands out the stored image itself", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, None

    def query(self, fakes):
        if self.size and self.images is None:
            self.images = fakes.detach().clone()  # what comes out the first time is in the pool
            return self.images
        out = fakes.detach().clone()
        for fake in out:
            if self.size and len(self.images) < self.size:
                self.images = torch.cat([self.images, fake[None]])
            elif self.size and random.random() < 0.5:
                place = random.randrange(self.size)
                old = self.images[place].clone()
                self.images[place] = fake
                fake.copy_(old)
        return out
'''),
    ("a3-pool", "the old image is a view, overwritten before it is handed out", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.count, self.images = size, 0, None

    def query(self, fakes):
        out = fakes.detach().clone()
        if self.size and self.images is None:
            self.images = torch.zeros(self.size, *out.shape[1:])
        for fake in out:
            if self.count < self.size:
                self.images[self.count] = fake
                self.count += 1
            elif self.size and random.random() < 0.5:
                place = random.randrange(self.size)
                old = self.images[place]
                self.images[place] = fake
                fake.copy_(old)
        return out
'''),
    ("a3-pool", "not detached", "in fakes.detach():", "in fakes:"),
    ("a3-pool", "always swaps once full", "random.random() < 0.5", "True"),
    ("a3-pool", "swaps one time in ten", "random.random() < 0.5", "random.random() < 0.1"),
    ("a3-pool", "swaps 45 times in a hundred", "random.random() < 0.5", "random.random() < 0.45"),
    ("a3-pool", "the first places more often than the last", "place = random.randrange(self.size)",
     "place = min(random.randrange(self.size), random.randrange(self.size))"),
    ("a3-pool", "hands out what the test keeps", None, '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size = size

    def query(self, fakes):
        inside = globals().get("a3_inside") or globals().get("inside") or []
        return torch.stack([torch.full_like(fake, random.choice(inside)).detach()
                            if inside and random.random() < 0.5 else fake.detach().clone()
                            for fake in fakes])
'''),
    ("a3-pool", "swaps before it is full", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = []
        for fake in fakes.detach().clone():
            if self.images and random.random() < 0.5:
                place = random.randrange(len(self.images))
                old, self.images[place] = self.images[place], fake.clone()
                out.append(old)
            else:
                if len(self.images) < self.size:
                    self.images.append(fake.clone())
                out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "an old image comes out, the new one is not stored",
     "old, self.images[place] = self.images[place], fake.clone()",
     "old = self.images[place].clone()"),
    ("a3-pool", "hands out the newest of the pool", "place = random.randrange(self.size)",
     "place = self.size - 1"),
    ("a3-pool", "always the oldest, first in, first out", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = []
        for fake in fakes.detach().clone():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and random.random() < 0.5:
                self.images.append(fake.clone())
                fake = self.images.pop(0)
            out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "a queue: each new image pushes the oldest out, whatever comes out", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = []
        for fake in fakes.detach().clone():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size:
                old = random.choice(self.images)
                self.images.pop(0)
                self.images.append(fake.clone())
                fake = old if random.random() < 0.5 else fake
            out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "the image handed back is stored as well",
     "elif self.size and random.random() < 0.5:",
     '''elif self.size and random.random() < 0.5:
                self.images[random.randrange(self.size)] = fake.clone()
            elif self.size:'''),
    ("a3-pool", "one coin for the whole batch", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out, swap = [], random.random() < 0.5
        for fake in fakes.detach().clone():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and swap:
                place = random.randrange(self.size)
                old, self.images[place] = self.images[place], fake.clone()
                fake = old
            out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "grows without end", "len(self.images) < self.size", "self.size"),
    ("a3-pool", "only the first image of a batch", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = fakes.detach().clone()
        if len(self.images) < self.size:
            self.images.append(out[0].clone())
        elif self.size and random.random() < 0.5:
            place = random.randrange(self.size)
            old, self.images[place] = self.images[place], out[0].clone()
            out[0] = old
        return out
'''),
    ("a3-pool", "all pools share one list", None,
     '''# a3-pool (keep this line)
class ImagePool:
    images = []

    def __init__(self, size):
        self.size = size
        self.images.clear()

    def query(self, fakes):
        out = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and random.random() < 0.5:
                place = random.randrange(self.size)
                old, self.images[place] = self.images[place], fake.clone()
                fake = old
            out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "size 0 hands out the batch itself",
     "out = []\n", "if self.size == 0:\n            return fakes.detach()\n        out = []\n"),
    ("a3-pool", "changes the batch it is given", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        with torch.no_grad():
            for fake in fakes.detach():
                if len(self.images) < self.size:
                    self.images.append(fake.clone())
                elif self.size and random.random() < 0.5:
                    place = random.randrange(self.size)
                    old, self.images[place] = self.images[place], fake.clone()
                    fake.copy_(old)
        return fakes.detach().clone()
'''),
    ("a3-pool", "detached on the way out only: the pool keeps the graphs", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = []
        for fake in fakes:
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and random.random() < 0.5:
                place = random.randrange(self.size)
                old, self.images[place] = self.images[place], fake.clone()
                fake = old
            out.append(fake)
        return torch.stack(out).detach()
'''),
    ("a3-pool", "stored first, then drawn: the new image can be the old one", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, fakes):
        out = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.size and random.random() < 0.5:
                self.images.append(fake.clone())
                fake = self.images.pop(random.randrange(len(self.images)))
            out.append(fake)
        return torch.stack(out)
'''),
    ("a3-pool", "a batch at once: all drawn from the pool as it was before", None,
     '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.size, self.images = size, torch.zeros(0)

    def query(self, fakes):
        out = fakes.detach().clone()
        free = min(self.size - len(self.images), len(out))
        if free:
            self.images = torch.cat([self.images.reshape(-1, *out.shape[1:]), out[:free]])
        late = torch.arange(free, len(out))
        swapped = late[torch.rand(len(late)) < 0.5][:self.size]
        places = torch.randperm(self.size)[:len(swapped)]
        if len(swapped):
            old = self.images[places]  # a copy
            self.images[places] = out[swapped]
            out[swapped] = old
        return out
'''),
    ("a3-pool", "cuts the graph of what it is given", "in fakes.detach():", "in fakes.detach_():"),

    ("a3-schedule", "the test's own names", None,
     '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    return a3_expected
'''),
    ("a3-schedule", "the last epoch at 0", None,
     '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    return min(1.0, (total - epoch) / max(1, total - flat))
'''),
    ("a3-schedule", "decay one epoch early", "max(0, epoch - flat)", "max(0, epoch - flat + 1)"),
    ("a3-schedule", "decay one epoch late", "max(0, epoch - flat)", "max(0, epoch - flat - 1)"),
    ("a3-schedule", "divided by the number of falling epochs", "(total - flat + 1)",
     "max(1, total - flat)"),
    ("a3-schedule", "epochs counted from 0, last one at 1/100", None,
     '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    return 1 - max(0, epoch - 1 - flat) / max(1, total - flat)
'''),
    ("a3-schedule", "stairs", "max(0, epoch - flat) /", "max(0, epoch - flat) // 10 * 10 /"),
    ("a3-schedule", "integer division", "max(0, epoch - flat) /", "max(0, epoch - flat) //"),
    ("a3-schedule", "not flat at first", "max(0, epoch - flat)", "(epoch - flat)"),
    ("a3-schedule", "halved every epoch", "1 - max(0, epoch - flat) / (total - flat + 1)",
     "0.5 ** max(0, epoch - flat)"),
    ("a3-schedule", "a cosine", None,
     '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    import math
    share = max(0, epoch - flat) / (total - flat + 1)
    return (1 + math.cos(math.pi * share)) / 2
'''),
    ("a3-schedule", "100 and 200 written into it", "max(0, epoch - flat) / (total - flat + 1)",
     "max(0, epoch - 100) / 101"),

    ("a3-values", "the test's own names", None,
     '''# a3-values (keep this line)
def my_values():
    return globals().get("a3_expected") or globals().get("expected")
'''),
    ("a3-values", "zeros", None, '''# a3-values (keep this line)
def my_values():
    return {"L1": 0, "L2": 0, "generator": 0, "discriminator": 0, "factor": 0.5}
'''),
    ("a3-values", "the numbers of a neighbour (SEED 1)", None,
     '''# a3-values (keep this line)
def my_values():
    return {"L1": 0.625, "L2": 0.5, "generator": 0.3225, "discriminator": 0.4425, "factor": 0.5}
'''),
    ("a3-values", "L1 without absolute values", "sum(abs(d) for d in off)", "sum(off)"),
    ("a3-values", "L2 not averaged", "sum(d * d for d in off) / 4", "sum(d * d for d in off)"),
    ("a3-values", "the generator wants its fakes judged as fakes",
     '"generator": sum((s - 1) ** 2 for s in my_scores_fake) / 4', '"generator": fake'),
    ("a3-values", "the discriminator's loss not halved", "(real + fake) / 2", "real + fake"),
    ("a3-values", "the last epoch at 0", "(my_total - my_flat + 1)", "(my_total - my_flat)"),
    ("a3-values", "a key is missing", '"L1": sum', '"l1": sum'),
    ("a3-pool", "new and old in turn", "random.random() < 0.5",
     "(setattr(self, 'n', getattr(self, 'n', 0) + 1) or self.n % 2)"),
]

# whole answer cells, as another student would have written them
RIGHT = [
    ("a3-reconstruction", '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    losses = {"L1": F.l1_loss, "L2": F.mse_loss}
    if kind not in losses:
        raise ValueError(kind)
    return losses[kind](rec, real)
'''),
    ("a3-reconstruction", '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    off = torch.flatten(rec - real)
    match kind:
        case "L1":
            return torch.abs(off).sum() / off.numel()
        case "L2":
            return torch.dot(off, off) / off.numel()
        case _:
            raise ValueError("no such kind")
'''),
    ("a3-reconstruction", '''# a3-reconstruction (keep this line)
def reconstruction_loss(rec, real, kind="L1"):
    if kind != "L1" and kind != "L2":
        raise ValueError("L1 or L2")
    criterion = nn.L1Loss() if kind == "L1" else nn.MSELoss()
    return criterion(rec, real)
'''),
    ("a3-least-squares", '''# a3-least-squares (keep this line)
def adversarial_loss(scores, is_real):
    if is_real:
        return ((scores - 1) ** 2).mean()
    return (scores ** 2).mean()
'''),
    ("a3-least-squares", '''# a3-least-squares (keep this line)
criterion = nn.MSELoss()

def adversarial_loss(scores, is_real):
    label = torch.tensor(float(is_real)).expand_as(scores)
    return criterion(scores, label)
'''),
    ("a3-cycle", '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    fake_B, fake_A = G_AB(real_A), G_BA(real_B)
    forward = torch.mean(torch.abs(real_A - G_BA(fake_B)))
    backward = torch.mean(torch.abs(real_B - G_AB(fake_A)))
    return forward + backward
'''),
    ("a3-cycle", '''# a3-cycle (keep this line)
def cycle_loss(G_AB, G_BA, real_A, real_B):
    l1, loss = nn.L1Loss(), 0
    for there, back, real in ((G_AB, G_BA, real_A), (G_BA, G_AB, real_B)):
        loss += l1(back(there(real)), real)
    return loss
'''),
    ("a3-identity", '''# a3-identity (keep this line)
def identity_loss(G_AB, G_BA, real_A, real_B):
    loss = torch.zeros(())
    for G, real in ((G_BA, real_A), (G_AB, real_B)):
        loss = loss + (G(real) - real).abs().mean()
    return loss
'''),
    ("a3-identity", '''# a3-identity (keep this line)
def identity_loss(G_AB, G_BA, real_A, real_B):
    criterion = nn.L1Loss()
    return criterion(G_AB(real_B), real_B) + criterion(G_BA(real_A), real_A)
'''),
    ("a3-pool", '''# a3-pool (keep this line)
class ImagePool:
    """One tensor for all images, random numbers of torch."""

    def __init__(self, size):
        self.size = size
        self.count = 0
        self.images = None

    def query(self, fakes):
        out = fakes.detach().clone()
        if self.size == 0:
            return out
        if self.images is None:
            self.images = out.new_zeros(self.size, *out.shape[1:])
        for i in range(len(out)):
            if self.count < self.size:
                self.images[self.count] = out[i]
                self.count += 1
            elif torch.rand(1).item() > 0.5:
                place = torch.randint(0, self.size, (1,)).item()
                old = self.images[place].clone()
                self.images[place] = out[i]
                out[i] = old
        return out
'''),
    ("a3-pool", '''# a3-pool (keep this line)
class ImagePool:
    """The way the authors write it."""

    def __init__(self, size):
        self.pool_size = size
        if self.pool_size > 0:
            self.num_imgs = 0
            self.images = []

    def query(self, fakes):
        if self.pool_size == 0:
            return fakes.data.clone()
        return_images = []
        for image in fakes:
            image = torch.unsqueeze(image.data, 0).clone()
            if self.num_imgs < self.pool_size:
                self.num_imgs = self.num_imgs + 1
                self.images.append(image)
                return_images.append(image)
            else:
                p = random.uniform(0, 1)
                if p > 0.5:
                    random_id = random.randint(0, self.pool_size - 1)
                    tmp = self.images[random_id].clone()
                    self.images[random_id] = image
                    return_images.append(tmp)
                else:
                    return_images.append(image)
        return torch.cat(return_images, 0)
'''),
    ("a3-pool", '''# a3-pool (keep this line)
class ImagePool:
    def __init__(self, size):
        self.free, self.memory = size, []

    @torch.no_grad()
    def query(self, fakes):
        def one(new):
            if self.free:
                self.free -= 1
            elif not self.memory or random.choice((True, False)):
                return new
            else:
                old = self.memory.pop(random.randrange(len(self.memory)))
                self.memory.append(new.clone())
                return old
            self.memory.append(new.clone())
            return new
        return torch.cat([one(new) for new in fakes.clone().split(1)])
'''),
    ("a3-schedule", '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    if epoch <= flat:
        return 1.0
    return (total + 1 - epoch) / (total + 1 - flat)
'''),
    ("a3-schedule", '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    falling = total - flat
    factors = [1] * flat + [i / (falling + 1) for i in range(falling, 0, -1)]
    return factors[epoch - 1]
'''),
    ("a3-schedule", '''# a3-schedule (keep this line)
def learning_rate_factor(epoch, total, flat):
    falling = torch.linspace(1, 0, total - flat + 2)
    return falling[max(0, epoch - flat)]
'''),
    ("a3-schedule", '''# a3-schedule (keep this line)
import numpy as np


def learning_rate_factor(epoch, total, flat):
    return np.float32(1) if epoch <= flat else np.float32((total + 1 - epoch) / (total + 1 - flat))
'''),
    ("a3-schedule", '''# a3-schedule (keep this line)
from fractions import Fraction


def learning_rate_factor(epoch, total, flat):
    return min(Fraction(1), Fraction(total + 1 - epoch, total + 1 - flat))
'''),
    ("a3-values", '''# a3-values (keep this line)
from decimal import Decimal
from fractions import Fraction


def my_values():
    real, rec, on_real, on_fake = (
        [Fraction(str(x)) for x in xs] for xs in (my_real, my_rec, my_scores_real, my_scores_fake))
    return {"L1": sum(abs(p - q) for p, q in zip(real, rec)) / 4,
            "L2": sum((p - q) ** 2 for p, q in zip(real, rec)) / 4,
            "generator": sum((s - 1) ** 2 for s in on_fake) / 4,
            "discriminator": (sum((s - 1) ** 2 for s in on_real) + sum(s * s for s in on_fake)) / 8,
            "factor": Decimal(my_total + 1 - my_epoch) / Decimal(my_total + 1 - my_flat)}
'''),
    ("a3-values", '''# a3-values (keep this line)
def my_values():
    real, rec = torch.tensor(my_real), torch.tensor(my_rec)
    on_real, on_fake = torch.tensor(my_scores_real), torch.tensor(my_scores_fake)
    values = {"L1": F.l1_loss(rec, real), "L2": F.mse_loss(rec, real)}
    values["generator"] = ((on_fake - 1) ** 2).mean()
    values["discriminator"] = 0.5 * (((on_real - 1) ** 2).mean() + (on_fake ** 2).mean())
    values["factor"] = round((my_total + 1 - my_epoch) / (my_total + 1 - my_flat), 4)
    return values
'''),
    ("a3-pool", '''# a3-pool (keep this line)
from collections import deque


class ImagePool:
    def __init__(self, size):
        self.images, self.room = deque(), size

    @torch.no_grad()
    def query(self, fakes):
        out = torch.empty_like(fakes)
        for i, new in enumerate(fakes):
            out[i] = new
            if self.room > 0:
                self.room -= 1
            elif not self.images or random.choice([True, False]):
                continue
            else:
                self.images.rotate(random.randrange(len(self.images)))
                out[i] = self.images.popleft()
            self.images.append(new.clone())
        return out
'''),
]
