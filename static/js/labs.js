/* Teaching's custom elements; each module looks for its own hooks and does nothing without them. */
import "./labs-people.js";
import "./labs-seat.js";
import "./labs-wall.js";
