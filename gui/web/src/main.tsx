import { render } from "preact";
import { App } from "./app";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/rows.css";
import "./styles/tables.css";
import "./styles/settings.css";
import "./styles/timeline.css";
import "./styles/dialogs.css";

render(<App />, document.body);
