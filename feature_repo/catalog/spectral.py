"""At which pace prices swing: wavelet energies and Fourier amplitudes of the last 64 log returns."""

from feature_repo.compute import spectral
from feature_repo.spec import Feature, FeatureGroup

SESSIONS = 64
LEVELS = 4


def _wavelet_energy(level: int) -> Feature:
    half = 2 ** (level - 1)
    return Feature(
        name=f"wavelet_energy_{level}",
        function=spectral.wavelet_energy,
        inputs=("close",),
        parameters=(SESSIONS, level, LEVELS),
        lookback=SESSIONS + 2**LEVELS,
        unit="fraction",
        formula=(
            f"mean of w_{level}^2 over {SESSIONS} bars / the sum of these means for levels 1 to {LEVELS}; "
            f"w_{level} = (mean of the last {half} ln(P_t / P_{{t-1}}) - mean of the {half} before) / 2"
        ),
        meaning=f"share of swings with a period of {2 * half} to {4 * half} bars, by the Haar wavelet",
        null_rule=f"where the last {SESSIONS + 2**LEVELS} closes grow evenly or stand still",
        source="Percival and Walden, Wavelet Methods for Time Series Analysis, 2000, section 8.3",
        minimum=0,
        maximum=1,
    )


def _fourier_amplitude(cycles: int) -> Feature:
    return Feature(
        name=f"fourier_amplitude_{SESSIONS // cycles}d",
        function=spectral.fourier_amplitude,
        inputs=("close",),
        parameters=(SESSIONS, cycles),
        lookback=SESSIONS + 1,
        unit="log return",
        formula=f"2 / {SESSIONS} x |sum of ln(P_t / P_{{t-1}}) exp(-2 pi i {cycles} t / {SESSIONS})|, {SESSIONS} bars",
        meaning=f"amplitude of the wave of {SESSIONS // cycles} bars in the last {SESSIONS} log returns",
        source="discrete Fourier transform",
        minimum=0,
    )


SPECTRAL = FeatureGroup(
    name="spectral",
    meaning="At which pace the price of every bar's past swung, by wavelets and by waves, on trailing windows.",
    features=(
        *(_wavelet_energy(level) for level in range(1, LEVELS + 1)),
        *(_fourier_amplitude(cycles) for cycles in (1, 2, 4, 8, 16)),
    ),
)
