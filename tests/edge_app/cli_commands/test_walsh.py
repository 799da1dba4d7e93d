import numpy as np

from edge_app.cli_commands.walsh import walsh_patterns


def test_sixteen_orthogonal_patterns_the_first_all_on() -> None:
    signs = np.where(walsh_patterns().masks, 1, -1).reshape(16, -1)
    assert np.array_equal(signs @ signs.T, 4096 * np.eye(16))
    assert signs[0].all()
    assert (signs[0] == 1).all()
