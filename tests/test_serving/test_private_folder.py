"""The folder of unix sockets: closed to other users wherever it lies."""

import stat

import pytest

from lake.errors import ConfigError
from lake.settings import Settings
from serving.processes import private_folder


def test_sockets_lie_where_nobody_else_can_enter(tmp_path, monkeypatch):
    near = Settings(home=tmp_path / "h")
    far = Settings(home=tmp_path / ("h" * 100))
    monkeypatch.setattr(private_folder, "LONGEST", len(str(tmp_path)) + 10)
    monkeypatch.setattr(private_folder.tempfile, "gettempdir", lambda: str(tmp_path))
    folders = [private_folder.socket_folder(each) for each in (near, far)]
    assert folders[0].is_relative_to(near.home)
    assert folders[1].parent == tmp_path
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    folders[1].chmod(0o755)
    with pytest.raises(ConfigError, match="expected user"):
        private_folder.socket_folder(far)
    folders[1].rmdir()
    folders[1].symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="expected user"):
        private_folder.socket_folder(far)
