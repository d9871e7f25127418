"""Small trees with the names of published data sets; their clips are files of a few bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n"
)


def clip(root: Path, *names: str) -> None:
    """Make files that stand for videos; none of them is opened."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0" * 16)


def frames(root: Path, *names: str, pictures: int = 2) -> None:
    """Make folders of pictures."""
    for name in names:
        clip(root, *(f"{name}/{number:03d}.jpg" for number in range(1, pictures + 1)))


def text(root: Path, name: str, *lines: str, end: str = "\n") -> None:
    """Make a list."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(line + end for line in lines).encode())


def afew(root: Path) -> None:
    clip(root, "Train_AFEW/Angry/000046280.avi", "Train_AFEW/Happy/000149120.AVI")
    clip(root, "Val_AFEW/Angry/000104400.avi", "Val_AFEW/Surprise/000200040.avi")
    clip(root, "Test_AFEW/000000001.avi")
    for split, folder in (("Train", "Points"), ("Val", "Points_Val")):
        top = f"{split}_AFEW/AlignedFaces_LBPTOP_{folder}"
        number = "000046280" if split == "Train" else "000104400"
        frames(root, f"{top}/Faces/{number}", f"{top}/Faces/999999999")
        text(root, f"{top}/LBPTOP/{number}.txt", "0.5")


def vgaf(root: Path) -> None:
    clip(root, "Train/1_1.mp4", "Train/1_2.mp4", "Train/10_3.mp4", "Val/2_1.mp4", "Val/2_2.MP4")
    text(root, "Train_labels.txt", "Vid_name Label", "1_1 1", "1_2 2", "10_3 3")
    text(root, "Val_labels.txt", "Vid_name Label", "2_1 3", "2_2 1", end="\r\n")


def ravdess(root: Path) -> None:
    for actor in (1, 4, 5, 24):
        for emotion in range(1, 9):
            take = f"01-{emotion:02d}-01-01-01-{actor:02d}.mp4"
            clip(root, f"Actor_{actor:02d}/01-{take}", f"Actor_{actor:02d}/02-{take}")
    clip(root, "Actor_01/02-01-03-02-01-01-01.mp4")  # the picture alone
    clip(root, "Actor_01/01-02-03-01-01-01-01.mp4")  # song
    clip(root, "Actor_01/03-01-03-01-01-01-01.wav")  # sound alone


def crema_d(root: Path) -> None:
    clip(root, "VideoFlash/1001_DFA_ANG_XX.flv", "VideoFlash/1001_IEO_HAP_LO.FLV")
    clip(root, "VideoFlash/1018_IEO_SAD_HI.flv", "VideoFlash/1019_IEO_NEU_XX.flv")
    clip(root, "VideoFlash/1040_ITH_SAD_X.flv", "VideoFlash/1091_TIE_FEA_XX.flv")
    clip(root, "AudioWAV/1001_DFA_ANG_XX.wav")
    text(
        root, "processedResults/summaryTable.csv",
        '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel"',
        '"1","1001_DFA_ANG_XX","N","69.1","D","92.22"',
        '"2","1001_IEO_HAP_LO","N","71.67","H","57"',
        '"3","1018_IEO_SAD_HI","N","60.14","A:F","30.67:51.00"',
        '"4","1019_IEO_NEU_XX","A","59.57","N","52.6"',
        '"5","1040_ITH_SAD_XX","N","59.57","S","52.6"',
    )  # fmt: skip


def enterface(root: Path) -> None:
    clip(root, "subject 1/anger/sentence 1/s1_an_1.avi", "subject 2/anger/sentence 1/s2_an_2.avi")
    clip(root, "subject 3/fear/sentence 5/s_3_fe_5.avi", "subject 10/sadness/sentence 2/s10.avi")
    clip(root, "subject 11/surprise/sentence 1/s11_su_1.avi", "subject 44/disgust/sentence 1/x.avi")
    clip(root, "subject 6/happiness/s6.avi")  # not cut into sentences
    text(root, "subject 1/anger/sentence 1/Thumbs.db", "")


def dfew(root: Path, kind: str = "original") -> None:
    if kind == "original":
        clip(root, *(f"Clip/original/{number}.mp4" for number in range(1, 8)))
    else:
        frames(root, *(f"Clip/{kind}/{number:05d}" for number in range(1, 8)))
    for fold, test in ((1, (1, 2)), (2, (3, 4))):
        for split in ("train", "test"):
            rows = [f"{n},{n}" for n in range(1, 7) if (n in test) == (split == "test")]
            name = f"EmoLabel_DataSplit/{split}(single-labeled)/set_{fold}.csv"
            text(root, name, "video_name,label", *rows)


def ferv39k(root: Path) -> None:
    clips = "2_ClipsforFaceCrop"
    frames(root, f"{clips}/Action/Sad/0010", f"{clips}/Action/Angry/0010", f"{clips}/War/Fear/0001")
    frames(root, f"{clips}/Crime/Happy/0007", f"{clips}/Crime/Neutral/0099")
    text(
        root, "4_setups/All_scenes/train_All.csv", "Action/Sad/0010 Sad", "Action/Angry/0010 Angry"
    )
    text(root, "4_setups/All_scenes/test_All.csv", "War/Fear/0001 Fear", "Crime/Happy/0007 Happy")


def mafw(root: Path) -> None:
    clip(root, *(f"data/clips/{number:05d}.mp4" for number in range(1, 6)))
    for fold in (1, 2):
        lists = f"Train & Test Set/single/no_caption/set_{fold}"
        rows = ["00001.mp4 anger", "00002.mp4 disappointment", "00003.mp4 contempt"]
        text(root, f"{lists}/test.txt", rows.pop(fold - 1))
        text(root, f"{lists}/train.txt", *rows)


def meld(root: Path) -> None:
    head = (
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
        "StartTime,EndTime"
    )
    clip(root, "train/train_splits/dia0_utt0.mp4", "train/train_splits/dia0_utt1.mp4")
    clip(root, "dev/dev_splits_complete/dia0_utt0.mp4", "dev/dev_splits_complete/dia66_utt9.mp4")
    test = "test/output_repeated_splits_test"
    clip(root, f"{test}/dia0_utt0.mp4", f"{test}/dia1_utt0.mp4", f"{test}/._dia0_utt0.mp4")
    clip(root, f"{test}/final_videos_testdia1_utt0.mp4")
    text(
        root, "train/train_sent_emo.csv", head,
        '1,"also I was the point person, on",Chandler,neutral,neutral,0,0,8,21,"00:16:16,059",x',
        '2,"He said ""no""",Joey,joy,positive,0,1,8,21,"00:16:21,940","00:16:23,442"',
    )  # fmt: skip
    text(
        root, "dev_sent_emo.csv", head,
        "1,Oh my God,Phoebe,sadness,negative,0,0,4,7,x,x",
        "2,Gone,Joey,anger,negative,110,7,4,7,x,x",
    )  # fmt: skip
    text(
        root, "test_sent_emo.csv", head,
        "1,Why,Mark,surprise,positive,0,0,3,19,x,x",
        "2,Push!,Joey,joy,positive,1,0,1,23,x,x",
    )  # fmt: skip


def folders(root: Path) -> None:
    clip(root, "train/happy/a.mp4", "train/happy/b.MOV", "train/sad/c.webm", "val/happy/d.mkv")
    frames(root, "val/sad/e")


def manifest(root: Path) -> None:
    clip(root, "a.mp4", "sub/b.mp4", "c.mp4")
    text(
        root, "list.csv", "path,label,subject", "a.mp4,glad,2", "sub/b.mp4,cross,10", "c.mp4,glad,2"
    )


TREES: dict[str, Callable[[Path], None]] = {
    "afew": afew,
    "afew-aligned": afew,
    "crema-d": crema_d,
    "crema-d-votes": crema_d,
    "dfew": dfew,
    "enterface": enterface,
    "ferv39k": ferv39k,
    "mafw": mafw,
    "meld": meld,
    "ravdess": ravdess,
    "ravdess-all": ravdess,
    "vgaf": vgaf,
    "folders": folders,
    "manifest": manifest,
}


def plant(name: str, root: Path) -> Path:
    """Make the tree of a data set; returns what `read_dataset` is given."""
    TREES[name](root)
    return root / "list.csv" if name == "manifest" else root
