import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { openBookings } from '../bookings.js';
import { restaurant } from '../restaurant.js';
import { createBookingTools } from '../tools.js';

/** The functions over the file that BOOKINGS_FILE names, or `bookings.db` in the folder that the service runs in. */
const file = resolve(process.env['BOOKINGS_FILE'] ?? 'bookings.db');
mkdirSync(dirname(file), { recursive: true });

export const tools = createBookingTools({ bookings: openBookings(file, restaurant), restaurant });
