// Run as a program of its own: makes one booking in the file that it is given, and at every write to the disk keeps a
// copy of what is there in a folder beside it. Each copy is what a process that died at that moment would leave.
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { BookingDatabase } from '../../examples/booking/database.js';

const [file = ''] = process.argv.slice(2);
const database = new BookingDatabase(file, [{ name: 'window', seats: 2 }]);
let copies = 0;

for (const operation of /** @type {const} */ ([
  'writeSync',
  'fsyncSync',
  'ftruncateSync',
  'unlinkSync',
  'rmdirSync',
])) {
  const real = fs[operation];
  Object.assign(fs, {
    [operation]: (/** @type {unknown[]} */ ...args) => {
      const place = join(dirname(file), `copy-${copies++}`);
      fs.mkdirSync(place);
      for (const end of ['', '-wal', '-journal', '.lock']) {
        if (fs.existsSync(file + end))
          fs.cpSync(file + end, join(place, `bookings.db${end}`), { recursive: true });
      }
      return Reflect.apply(real, fs, args);
    },
  });
}

database.book({
  key: 'key-1',
  callId: 'CA1',
  start: '2026-11-27T19:30',
  slots: ['2026-11-27T19:30', '2026-11-27T20:00', '2026-11-27T20:30', '2026-11-27T21:00'],
  party: 2,
  name: 'Miller',
  phone: '+15550100123',
  note: '',
  now: '2026-11-21T12:00',
});
process.stdout.write(`${copies}\n`);
