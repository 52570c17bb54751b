import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rehearse } from './rehearsal.js';

// The simulators are no part of the library's interface, so they are taken from where the package has them.
const dist = new URL('../../dist/src/', import.meta.url);
/** @param {string} path */
const from = async (path) => await import(new URL(path, dist).href);

const folder = join('calls', 'booking');
const stage = {
  ...(await from('sim/phone.js')),
  ...(await from('sim/openai.js')),
  ...(await from('providers/local/engine.js')),
  ...(await from('audio/offline.js')),
};
const rows = await rehearse(stage, {
  folder,
  agentsFile: fileURLToPath(new URL('agents.yaml', import.meta.url)),
  // Longer than the caller should hear nothing.
  slowMs: process.argv.includes('--slow') ? 4000 : 0,
  out: (line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`\nin ${join(folder, 'bookings.db')}: ${JSON.stringify(rows)}\n`);
process.stdout.write(`listen to ${join(folder, 'call.wav')} (caller left, agent right)\n`);
// The script books one table, whatever else went on.
if (rows.length !== 1) process.exitCode = 1;
