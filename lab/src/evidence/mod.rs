//! What a bug report needs besides a cell: which loss it is about, the least rules that show it, and since when.
//! Pure: the next candidates are a function of what the last ones came to; whoever runs them is not known here.

mod ddmin;
mod history;
mod kind;
mod loss;
mod shrink;
mod sign;

pub use history::{History, Since, Standing};
pub use kind::LossKind;
pub use loss::{Damaged, Found, Loss, Subject};
pub use shrink::{Shrink, Smaller};
