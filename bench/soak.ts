import { parseArgs } from 'node:util';
import { soakInMemory } from './soak/in-memory.ts';

/** What calls leave behind: `node dist/bench/soak.js`. */
const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '20000' },
    batch: { type: 'string', default: '500' },
    warmup: { type: 'string', default: '12000' },
    audio: { type: 'string', default: 'wideband' },
    snapshot: { type: 'string' },
  },
});
await soakInMemory({
  calls: Number(values.calls),
  batch: Number(values.batch),
  warmup: Number(values.warmup),
  audio: values.audio === 'passthrough' ? 'passthrough' : 'wideband',
  snapshot: values.snapshot,
});
