import { describe, expect, it } from 'vitest';
import { decodeG711 } from '../src/audio/g711.ts';
import { bytesToSamples } from '../src/audio/wav.ts';
import { packageFile } from '../src/package-file.ts';
import { readCall, type StoredWav } from '../src/recording/stored-call.ts';
import { readStory } from '../src/recording/story.ts';
import { replay } from '../src/replay/replay.ts';

/** What can be listened to of a call, made of what its playout knows; held against what is read from its lines afterwards. */

const LOUD = 300;

/** For every 20 ms whether there is sound. */
function loudness(samples: ArrayLike<number>, rate: number): readonly boolean[] {
  const frame = rate / 50;
  return Array.from({ length: Math.floor(samples.length / frame) }, (_, at) => {
    let most = 0;
    for (let i = at * frame; i < (at + 1) * frame; i++) most = Math.max(most, Math.abs(samples[i] ?? 0));
    return most > LOUD;
  });
}

function channel({ format, bytes }: StoredWav, which: 0 | 1): readonly boolean[] {
  const samples = bytesToSamples(bytes, format.encoding);
  return loudness(
    samples.filter((_sample, at) => at % 2 === which),
    format.rate,
  );
}

/** Which part of the frames with sound in either of them have it in both, within a frame. */
function agreement(one: readonly boolean[], other: readonly boolean[]): number {
  const near = (frames: readonly boolean[], at: number): boolean =>
    frames[at - 1] === true || frames[at] === true || frames[at + 1] === true;
  let [both, any] = [0, 0];
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    if (one[at] !== true && other[at] !== true) continue;
    any += 1;
    if (one[at] === true ? near(other, at) : near(one, at)) both += 1;
  }
  return any === 0 ? 0 : both / any;
}

/** So many frames later. */
function later(frames: readonly boolean[], by: number): readonly boolean[] {
  return by < 0 ? frames.slice(-by) : [...Array<boolean>(by).fill(false), ...frames];
}

describe('call.wav', () => {
  it.each(['twilio-barge-in', 'telnyx-barge-in', 'plivo-marks-never', 'twilio-hole-in-audio'])(
    'of %s has left what the caller said and right what the caller heard, in time with each other',
    async (name) => {
      const stored = await readCall(packageFile(`fixtures/${name}`));
      const { stereo } = await replay(stored, { listen: true });
      if (stereo === undefined) throw new Error('there is nothing to listen to');
      const { tracks } = readStory(stored);
      const [left, right] = [channel(stereo, 0), channel(stereo, 1)];
      const said = loudness(decodeG711('mulaw', tracks.said), 8000);
      const heard = loudness(decodeG711('mulaw', tracks.heard), 8000);
      // A machine that was busy when the stream began had the first frames late: then everything is later by so much.
      const lags = Array.from({ length: 26 }, (_, lag) => lag - 1);
      const lag = lags.reduce((best, one) =>
        agreement(left, later(said, one)) > agreement(left, later(said, best)) ? one : best,
      );
      expect(agreement(left, later(said, lag))).toBeGreaterThan(0.95);
      expect(agreement(right, later(heard, lag))).toBeGreaterThan(0.9);
      expect(agreement(right, later(said, lag))).toBeLessThan(0.5);
    },
  );
});
