"""A residual network for small colour pictures, in the style of the CIFAR ResNets. The pictures are cut from photographs."""

import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset


class Pieces(Dataset):
    """Pieces of two photographs; the label says which, and which half."""

    def __init__(self, side=16):
        self.photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
        self.side = side

    def __len__(self):
        return 600

    def __getitem__(self, i):
        photo = self.photos[i % 2]
        row, column = (i * 37) % 400, (i * 91) % 600
        piece = photo[:, row : row + self.side, column : column + self.side].float().div(255)
        if torch.rand(1).item() < 0.5:
            piece = piece.flip(2)
        return (piece - 0.45) / 0.25, i % 2 * 2 + (row > 200)


def _weights_init(m):
    if isinstance(m, nn.Linear) or isinstance(m, nn.Conv2d):
        init.kaiming_normal_(m.weight)


class LambdaLayer(nn.Module):
    def __init__(self, lambd):
        super(LambdaLayer, self).__init__()
        self.lambd = lambd

    def forward(self, x):
        return self.lambd(x)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes, planes, stride=1):
        super(BasicBlock, self).__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = LambdaLayer(
                lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=4):
        super(ResNet, self).__init__()
        self.in_planes = 8
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = self._make_layer(block, 8, num_blocks[0], stride=1)
        self.layer2 = self._make_layer(block, 16, num_blocks[1], stride=2)
        self.linear = nn.Linear(16, num_classes)
        self.apply(_weights_init)

    def _make_layer(self, block, planes, num_blocks, stride):
        layers = []
        for stride in [stride] + [1] * (num_blocks - 1):
            layers.append(block(self.in_planes, planes, stride))
            self.in_planes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer2(self.layer1(out))
        out = F.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class AverageMeter(object):
    def __init__(self):
        self.sum = self.count = 0

    def update(self, val, n=1):
        self.sum += val * n
        self.count += n


torch.manual_seed(0)
cudnn.benchmark = True
loader = DataLoader(Pieces(), batch_size=20, shuffle=True, num_workers=2, pin_memory=False)
model = ResNet(BasicBlock, [1, 1])
print("Total number of params", sum(p.numel() for p in filter(lambda p: p.requires_grad, model.parameters())))
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
lr_scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[10, 15])
losses = AverageMeter()
model.train()
for i, (input, target) in enumerate(loader):
    loss = criterion(model(input), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lr_scheduler.step()
    losses.update(loss.float().item(), input.size(0))
    print(f"[{i}/{len(loader)}] lr {optimizer.param_groups[0]['lr']:.5f} Loss {loss.item():.5f}")
    if i == 21:
        break
print(f"mean {losses.sum / losses.count:.4f}")
