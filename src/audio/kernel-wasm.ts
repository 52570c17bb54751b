import type { Branch, FilterBank } from './filter-bank.ts';
import {
  INPUT_ROOM,
  type Kernel,
  LITTLE_ENDIAN,
  OUTPUT_ROOM,
  type Run,
  sampleRoom,
  strideOf,
} from './kernel.ts';
import { assemble, type Routine } from './wasm.ts';

// The types of Node do not declare WebAssembly; these are the parts that are used.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Vectors of two sums that are made at a time: as many as keep the adders busy while they wait for each other. */
const VECTORS = 4;
const PAGES = 2;
const PAGE_BYTES = 65_536;

function times(count: number, words: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => words(i)).join(' ');
}

/** Every `step` bytes a sample, to floats that lie side by side. */
const SPREAD: Routine = {
  params: ['from', 'step', 'to', 'until'],
  code: `
    loop
      to  from load-sample  to-float  store-float
      from step + =from
      to 8 + =to
      to until <
    again-if end`,
};

/**
 * `sums[i] = start + Σ taps[k] · x[i + k]`, two taps a turn. Both lanes of a vector are sums of their own, and each is made
 * tap after tap, so that the bits are those of the plain kernel.
 */
function filter(start: (i: number) => string): Routine {
  const tap = (k: number): string => `
        t load-twice+${8 * k} =tap
        ${times(VECTORS, (i) => `s${i}  tap  from load+${16 * i + 8 * k}  v*  v+  =s${i}`)}`;
  return {
    params: ['x', 'taps', 'tapsEnd', 'sums', 'until'],
    numbers: ['t', 'from'],
    vectors: ['tap', ...Array.from({ length: VECTORS }, (_, i) => `s${i}`)],
    code: `
    loop
      ${times(VECTORS, (i) => `${start(i)} =s${i}`)}
      taps =t
      x =from
      loop
        ${tap(0)}
        ${tap(1)}
        from 16 + =from
        t 16 + =t
        t tapsEnd <
      again-if end
      ${times(VECTORS, (i) => `sums s${i} store+${16 * i}`)}
      x ${16 * VECTORS} + =x
      sums ${16 * VECTORS} + =sums
      sums until <
    again-if end`,
  };
}

/**
 * To the nearest sample, halves upwards as `Math.round` does it, at most full scale; every `step` bytes one. Adding a half
 * and rounding down would not do: it makes 1 of the largest float below a half.
 */
const ROUND: Routine = {
  params: ['sums', 'until', 'to', 'step'],
  vectors: ['v', 'up'],
  code: `
    loop
      sums load =v
      v ceil =up
      up
      up  0.5f splat  v-  v  v>  1f splat  v&
      v-  truncate =v
      v v narrow =v
      to v store-first
      to step + =to
      to v store-second
      to step + =to
      sums 16 + =sums
      sums until <
    again-if end`,
};

interface Exports {
  spread(from: number, step: number, to: number, end: number): void;
  filter(x: number, taps: number, tapsEnd: number, sums: number, end: number): void;
  filterMore(x: number, taps: number, tapsEnd: number, sums: number, end: number): void;
  round(sums: number, end: number, to: number, step: number): void;
}

const ROUTINES = {
  spread: SPREAD,
  filter: filter(() => '0f splat'),
  filterMore: filter((i) => `sums load+${16 * i}`),
  round: ROUND,
} satisfies Record<keyof Exports, Routine>;

/** A branch with its addresses. */
interface Placed {
  readonly x: number;
  readonly taps: number;
  readonly tapsEnd: number;
}

/** The memory of the kernel, given away piece by piece and never taken back: addresses in bytes. */
class Layout {
  #next = 0;

  take(bytes: number): number {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 16) * 16;
    if (this.#next > PAGES * PAGE_BYTES)
      throw new RangeError(`the kernel wants ${this.#next} bytes of memory`);
    return at;
  }
}

/**
 * The kernel in WebAssembly, several times as fast as the plain one. Undefined where a processor or the way Node was
 * started does not allow it.
 */
export function createWasmKernel(): Kernel | undefined {
  // The memory of WebAssembly has the low byte first on every machine, that of JavaScript that of the machine.
  if (!LITTLE_ENDIAN) return undefined;
  try {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const module = new WebAssembly.Module(assemble(ROUTINES, PAGES));
    const { exports } = new WebAssembly.Instance(module, { host: { memory } });
    return kernelOf(memory.buffer, exports as Exports);
  } catch {
    return undefined;
  }
}

function kernelOf(memory: ArrayBuffer, routines: Exports): Kernel {
  const layout = new Layout();
  const input = layout.take(2 * INPUT_ROOM);
  const output = layout.take(2 * OUTPUT_ROOM);
  const sums = layout.take(8 * (INPUT_ROOM + 2 * VECTORS));
  // One bank runs at a time, so they have their streams in the same place.
  const streams = layout.take(8 * 2 * INPUT_ROOM);
  return {
    input: sampleRoom(memory, input, INPUT_ROOM),
    output: sampleRoom(memory, output, OUTPUT_ROOM),
    prepare: (bank) => {
      const stride = 8 * strideOf(bank);
      const place = ({ stream, first, taps }: Branch): Placed => {
        // Two taps at a time: a branch of one gets a second that adds nothing.
        const at = layout.take(8 * taps.length);
        new Float64Array(memory, at, taps.length).set(taps);
        return { x: streams + stream * stride + 8 * first, taps: at, tapsEnd: at + 8 * taps.length };
      };
      const places = bank.places.map((branches) => branches.map(place));
      return runOf(bank, places, { routines, input, output, sums, streams, stride });
    },
  };
}

interface Addresses {
  readonly routines: Exports;
  readonly input: number;
  readonly output: number;
  readonly sums: number;
  readonly streams: number;
  readonly stride: number;
}

function runOf(bank: FilterBank, places: readonly (readonly Placed[])[], addresses: Addresses): Run {
  const { up, down, span } = bank;
  const { routines, input, output, sums, streams, stride } = addresses;
  const { spread, filter, filterMore, round } = routines;
  return (periods) => {
    for (let i = 0; i < down; i++) {
      const at = streams + i * stride;
      spread(input + 2 * i, 2 * down, at, at + 8 * (span - 1 + periods));
    }
    const end = sums + 8 * periods;
    for (let j = 0; j < up; j++) {
      const branches = places[j]!;
      for (let b = 0; b < branches.length; b++) {
        const { x, taps, tapsEnd } = branches[b]!;
        if (b === 0) filter(x, taps, tapsEnd, sums, end);
        else filterMore(x, taps, tapsEnd, sums, end);
      }
      round(sums, end, output + 2 * j, 2 * up);
    }
  };
}
