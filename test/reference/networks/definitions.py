"""PyTorch definitions of the reference networks beside this file.
Useful as an oracle: torch 2.13.0 reproduced every file bit for bit."""
import math, torch

from torch import nn

from torch.nn import functional as F

class MLPShared(nn.Module):                 # d2l 6.2: shared = nn.Linear(8, 8) used twice
    def __init__(self):
        super().__init__(); shared = nn.Linear(8, 8)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))
    def forward(self, x): return self.net(x)

class MLPSoftmax(nn.Module):                # d2l softmax / MLP classifier
    def __init__(self, i=64, h=32, o=10):
        super().__init__(); self.net = nn.Sequential(nn.Flatten(), nn.Linear(i, h), nn.ReLU(), nn.Linear(h, o))
    def forward(self, x): return self.net(x)

class LeNet(nn.Module):                     # d2l 7.6
    def __init__(self, num_classes=10):
        super().__init__(); self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2),
            nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, num_classes))
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Conv2d)): nn.init.xavier_uniform_(m.weight)
    def forward(self, x): return self.net(x)

class AlexNetMini(nn.Module):               # d2l 8.1 scaled: 1x96x96
    def __init__(self, c=10):
        super().__init__(); self.net = nn.Sequential(
            nn.Conv2d(1, 12, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(12, 24, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(), nn.Linear(24 * 2 * 2, 64), nn.ReLU(), nn.Dropout(0.0), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.0), nn.Linear(64, c))
    def forward(self, x): return self.net(x)

def vgg_block(n, i, o):
    L = []
    for k in range(n): L += [nn.Conv2d(i if k == 0 else o, o, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*L, nn.MaxPool2d(2, 2))

class VGGMini(nn.Module):
    def __init__(self):
        super().__init__(); self.net = nn.Sequential(vgg_block(1, 1, 8), vgg_block(2, 8, 16), vgg_block(2, 16, 24), nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(), nn.Linear(48, 10))
    def forward(self, x): return self.net(x)

def nin_block(i, o, k, s, p): return nn.Sequential(nn.Conv2d(i, o, k, s, p), nn.ReLU(), nn.Conv2d(o, o, 1), nn.ReLU(), nn.Conv2d(o, o, 1), nn.ReLU())

class NiNMini(nn.Module):                   # d2l 8.3
    def __init__(self, c=10):
        super().__init__(); self.net = nn.Sequential(nin_block(1, 12, 5, 2, 0), nn.MaxPool2d(3, 2), nin_block(12, 20, 5, 1, 2), nn.MaxPool2d(3, 2), nin_block(20, 24, 3, 1, 1), nn.Dropout(0.0), nin_block(24, c, 3, 1, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())
    def forward(self, x): return self.net(x)

class BasicBlock(nn.Module):                # names as torchvision.models.resnet.BasicBlock
    def __init__(self, i, o, s):
        super().__init__(); self.conv1 = nn.Conv2d(i, o, 3, s, 1, bias=False); self.bn1 = nn.BatchNorm2d(o); self.relu = nn.ReLU(inplace=True); self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False); self.bn2 = nn.BatchNorm2d(o)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if (s != 1 or i != o) else None
    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))

class ResNet18(nn.Module):                  # torchvision resnet18 with a width argument (64 = the original)
    def __init__(self, width=64, num_classes=1000):
        super().__init__(); w = width; self.conv1 = nn.Conv2d(3, w, 7, 2, 3, bias=False); self.bn1 = nn.BatchNorm2d(w); self.relu = nn.ReLU(inplace=True); self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(w, w, 1), BasicBlock(w, w, 1)); self.layer2 = nn.Sequential(BasicBlock(w, 2 * w, 2), BasicBlock(2 * w, 2 * w, 1))
        self.layer3 = nn.Sequential(BasicBlock(2 * w, 4 * w, 2), BasicBlock(4 * w, 4 * w, 1)); self.layer4 = nn.Sequential(BasicBlock(4 * w, 8 * w, 2), BasicBlock(8 * w, 8 * w, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1)); self.fc = nn.Linear(8 * w, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d): nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x)))); x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))

class CharRNN(nn.Module):
    def __init__(self, cell="LSTM", vocab=28, emb=16, hid=32, layers=2, bidirectional=False):
        super().__init__(); self.emb = nn.Embedding(vocab, emb); self.rnn = getattr(nn, cell)(emb, hid, layers, batch_first=True, bidirectional=bidirectional); self.out = nn.Linear(hid * (2 if bidirectional else 1), vocab)
    def forward(self, x, state=None):
        y, s = self.rnn(self.emb(x), state); return self.out(y), s

class EncoderLayer(nn.Module):
    def __init__(self, norm_first=False, act="relu"):
        super().__init__(); self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, activation=act, batch_first=True, norm_first=norm_first)
    def forward(self, x, key_padding_mask=None, mask=None): return self.layer(x, src_mask=mask, src_key_padding_mask=key_padding_mask)

class VAE(nn.Module):
    def __init__(self, n=64, h=32, z=8):
        super().__init__(); self.fc1 = nn.Linear(n, h); self.fc_mu = nn.Linear(h, z); self.fc_logvar = nn.Linear(h, z); self.fc3 = nn.Linear(z, h); self.fc4 = nn.Linear(h, n)
    def forward(self, x, eps):              # eps is an input: no random numbers in the reference
        h = F.relu(self.fc1(x)); mu, lv = self.fc_mu(h), self.fc_logvar(h); z = mu + torch.exp(.5 * lv) * eps
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, lv

class DCGANGenerator(nn.Module):            # d2l 20.2 / pytorch tutorial, small
    def __init__(self, z=16, g=16):
        super().__init__(); self.net = nn.Sequential(nn.ConvTranspose2d(z, g * 2, 4, 1, 0, bias=False), nn.BatchNorm2d(g * 2), nn.ReLU(), nn.ConvTranspose2d(g * 2, g, 4, 2, 1, bias=False), nn.BatchNorm2d(g), nn.ReLU(), nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False), nn.Tanh())
    def forward(self, z): return self.net(z)

class CenteredLayer(nn.Module):             # d2l 6.5
    def forward(self, X): return X - X.mean()

class CenteredNet(nn.Module):
    def __init__(self): super().__init__(); self.net = nn.Sequential(nn.Linear(8, 16), CenteredLayer(), nn.Linear(16, 4))
    def forward(self, x): return self.net(x)

class MyLinear(nn.Module):
    def __init__(self, in_units, units): super().__init__(); self.weight = nn.Parameter(torch.randn(in_units, units)); self.bias = nn.Parameter(torch.randn(units))
    def forward(self, X): return F.relu(torch.matmul(X, self.weight) + self.bias)

class MyLinearNet(nn.Module):
    def __init__(self): super().__init__(); self.net = nn.Sequential(MyLinear(64, 8), MyLinear(8, 1))
    def forward(self, x): return self.net(x)

class FixedHiddenMLP(nn.Module):            # d2l 6.1: constant weight (not a parameter, not in the state_dict), reused layer, data-dependent while
    def __init__(self): super().__init__(); self.rand_weight = torch.rand((20, 20)); self.linear = nn.Linear(20, 20)
    def forward(self, X):
        X = self.linear(X); X = F.relu(X @ self.rand_weight.to(X.dtype) + 1); X = self.linear(X); self.iterations = 0
        while X.abs().sum() > 1: X = X / 2; self.iterations += 1
        return X.sum()

class NestMLP(nn.Module):
    def __init__(self): super().__init__(); self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()); self.linear = nn.Linear(32, 16)
    def forward(self, X): return self.linear(self.net(X))

class LinReg(nn.Module):
    def __init__(self): super().__init__(); self.net = nn.Linear(2, 1); self.net.weight.data.normal_(0, 0.01); self.net.bias.data.fill_(0)
    def forward(self, x): return self.net(x)
