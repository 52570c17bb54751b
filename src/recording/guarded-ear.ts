import type { EarTape } from '../tape.ts';

/** The same ear, but one that fails is told nothing any more, and the call does not notice. `onTrouble`: once, with what it threw. */
export function guardedEar(ear: EarTape, onTrouble: (thrown: unknown) => void): EarTape {
  let isWell = true;
  const tell = (act: () => void): void => {
    if (!isWell) return;
    try {
      act();
    } catch (thrown) {
      isWell = false;
      onTrouble(thrown);
    }
  };
  return {
    stream: (input, output, now) => tell(() => ear.stream(input, output, now)),
    said: (bytes, now, atMs) => tell(() => ear.said(bytes, now, atMs)),
    sent: (bytes, now) => tell(() => ear.sent(bytes, now)),
    heard: (position, now) => tell(() => ear.heard(position, now)),
    assumed: (position, at) => tell(() => ear.assumed(position, at)),
    cleared: (position, now) => tell(() => ear.cleared(position, now)),
  };
}
