import { Counter, Gauge, type Registry } from 'prom-client';

/** What is counted of the bridge's own recordings. Per recording and per piece that is written; never per frame. */
export interface RecordingMetrics {
  /** Recordings under way are counted when somebody asks for the figures. */
  watchRecordings(running: () => number): void;
  /** `outcome`: `complete`, or why something is missing, such as `disk-full`. */
  recordingOver(outcome: string): void;
  recordingWrote(bytes: number): void;
  /** A recording was removed because it was too old (`age`), or because there were too many (`size`). */
  recordingRemoved(why: string): void;
}

/** @param registers where the figures are told */
export function createRecordingMetrics(registers: Registry[]): RecordingMetrics {
  let running = (): number => 0;
  new Gauge({
    name: 'patchcord_recordings_active',
    help: 'Calls that the service is recording',
    registers,
    collect() {
      this.set(running());
    },
  }).set(0);
  const over = new Counter({
    name: 'patchcord_recordings_total',
    help: 'Recordings that are over: complete, or why something is missing',
    labelNames: ['outcome'],
    registers,
  });
  const bytes = new Counter({
    name: 'patchcord_recorded_bytes_total',
    help: 'Bytes of recordings that were written',
    registers,
  });
  const removed = new Counter({
    name: 'patchcord_recordings_removed_total',
    help: 'Recordings that were removed because of their age or their size',
    labelNames: ['why'],
    registers,
  });
  return {
    watchRecordings(count) {
      running = count;
    },
    recordingOver: (outcome) => over.inc({ outcome }),
    recordingWrote: (count) => bytes.inc(count),
    recordingRemoved: (why) => removed.inc({ why }),
  };
}
