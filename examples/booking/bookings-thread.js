import { parentPort, workerData } from 'node:worker_threads';
import { BookingDatabase } from './database.js';

/**
 * The thread of the database: a disk that is slow must not keep the voices of other calls waiting.
 *
 * @typedef {Exclude<keyof BookingDatabase, symbol>} Operation
 * @typedef {{ readonly id: number, readonly operation: Operation, readonly args: readonly unknown[] }} Request
 * @typedef {{ readonly id: number, readonly value?: unknown, readonly error?: string }} Reply
 */

const database = new BookingDatabase(workerData.file, workerData.tables);

parentPort?.on('message', (/** @type {Request} */ { id, operation, args }) => {
  parentPort?.postMessage({ id, ...answer(operation, args) });
});

/**
 * @param {Operation} operation
 * @param {readonly unknown[]} args
 * @returns {Omit<Reply, 'id'>}
 */
function answer(operation, args) {
  try {
    return { value: Reflect.apply(database[operation], database, args) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
