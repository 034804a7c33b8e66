/* Everything a page may need; each module looks for its own hooks and does nothing without them. */
import "./times.js";
import "./toasts.js";
import "./confirm.js";
import "./submits.js";
import "./menus.js";
import "./selection.js";
import "./keep.js";
import "./keys.js";
import "./launch-form.js";
import "./link-state.js";
import "./figures.js";
import "./chart.js";
import "./fleet.js";
import "./live.js";
import "./catalogue.js";
import "./command-output.js";
import "./terminal-late.js";
