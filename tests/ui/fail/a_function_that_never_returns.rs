#[hermes::instrument]
fn serve() -> ! {
    loop {}
}

fn main() {}
