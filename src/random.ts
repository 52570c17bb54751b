import { randomBytes, randomUUID } from 'node:crypto';

/** Where everything in a call comes from that is left to chance, so that replays can seed it. */
export interface Random {
  /** Fit for secrets. */
  bytes(count: number): Uint8Array;
  uuid(): string;
  /** 0 ≤ x < 1; not for secrets. */
  fraction(): number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
  fraction: () => Math.random(),
};

/** 192 random bits, safe in a path. */
export function newToken(random: Random): string {
  return Buffer.from(random.bytes(24)).toString('base64url');
}
