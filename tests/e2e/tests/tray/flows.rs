//! What a person does in the window, driven there, with a real agent and a company behind it.

mod agent;
mod consent;
mod settings;
mod sign_in;
mod tokens;
