import { FLOOR_DELAY, firPath } from './floor/fir.ts';
import { startRelay } from './floor/relay.ts';

/** The relay that the bridge is measured beside, in a process of its own. Prints where it listens. */
const isFir = process.argv.includes('fir');
const relay = await startRelay({
  providerUrl: process.env['OPENAI_BASE_URL'] ?? '',
  format: isFir ? { type: 'audio/pcm', rate: 24_000 } : { type: 'audio/pcmu' },
  audioPath: isFir ? firPath : undefined,
});
process.stdout.write(`listening on ${relay.url} delay ${isFir ? FLOOR_DELAY : 0}\n`);
// So that a profile of it is written.
process.on('SIGTERM', () => process.exit());
