import type { BridgeError } from '../../errors.ts';

/** A promise that is settled from outside, and of whose rejection nobody has to take notice. */
export interface Signalled {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (why: BridgeError) => void;
}

/** A promise for something that will happen on a call, or not. */
export function signalled(): Signalled {
  let resolve = (): void => {};
  let reject: (why: BridgeError) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not wait for it does not want to hear of it either.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
